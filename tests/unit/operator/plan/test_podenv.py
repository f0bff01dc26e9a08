"""Every setting of the services is set in one place for a pod, or stays at its default there."""

from dataclasses import Field, fields
from typing import Any

import pytest
from marketstream.settings import Settings, SettingsError
from marketstream_operator.plan.podenv import REQUIRED, SECRET
from marketstream_operator.resource.spec import TUNING

WRITTEN = {
    "exchange", "symbols", "exchange_ws_url", "exchange_rest_url", "default_exchange", "topic_prefix", "topic_create",
    "consumer_group", "max_age_s", "start_limit_s", "log_level", "log_format",
}  # fmt: skip
"""Settings that the operator writes, from the MarketStream and from its own settings: plan.desired."""

FIXED = {
    "topic_retention_ms", "topic_replication", "recording", "replay_speed", "http_host", "http_port", "root_path",
}  # fmt: skip
"""Settings that keep their default: the operator creates the topics, a pair replays nothing and serves no page."""


def test_every_setting_of_the_services_has_one_who_sets_it() -> None:
    """A setting that is added to the services only, or to the operator only, fails here."""
    groups = [SECRET, WRITTEN, FIXED, {name.lower() for name in TUNING}]
    known = [name for group in groups for name in group]
    assert sorted(known) == sorted(each.name for each in fields(Settings))


@pytest.mark.parametrize(
    "field", [each for each in fields(Settings) if each.name in {*SECRET, *map(str.lower, TUNING)}]
)
@pytest.mark.parametrize("given", ["s3cret", "-7777", "redis://:s3cret", "postgresql://u:s3cret@h:s3cret/7777"])
def test_no_error_repeats_a_value_that_a_secret_may_hold(field: "Field[Any]", given: str) -> None:
    """Errors of the services reach logs, and those of the operator the status of a MarketStream."""
    assert field.metadata["quoted"] is False
    error = error_of(field.name.upper(), given)
    if error is not None:
        assert error.variable == field.name.upper()
        assert "s3cret" not in str(error)
        assert "7777" not in str(error)


def error_of(variable: str, given: str) -> SettingsError | None:
    try:
        Settings.from_environment({variable: given})
    except SettingsError as error:
        return error
    return None


def test_what_a_connection_secret_cannot_lack_is_read_from_it() -> None:
    assert set(REQUIRED) <= SECRET
