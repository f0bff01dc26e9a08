"""The settings that the services read and those that the operator writes are the same."""

from dataclasses import fields

from marketstream.settings import Settings
from marketstream_operator.plan import podenv
from marketstream_operator.resource.spec import TUNING


def test_every_setting_of_the_services_has_one_who_sets_it() -> None:
    """A setting that is added to the services only, or to the operator only, fails here."""
    groups = [podenv.SECRET, podenv.WRITTEN, podenv.FIXED, {name.lower() for name in TUNING}]
    known = [name for group in groups for name in group]
    assert sorted(known) == sorted(each.name for each in fields(Settings))
