"""The kinds of objects, and the CRD that defines one of them."""

import yaml
from marketstream_operator.kinds import DEPLOYMENT, MARKET_STREAM, POD, Kind

from tests.harness.needs import PROJECT


def test_the_core_group_has_no_name_in_an_api_version() -> None:
    assert (POD.api_version, DEPLOYMENT.api_version) == ("v1", "apps/v1")


def test_the_chart_defines_the_kind_of_market_streams() -> None:
    definition = yaml.safe_load((PROJECT / "charts/marketstream/files/crd.yaml").read_text())["spec"]
    (version,) = definition["versions"]
    names = definition["names"]
    assert Kind(definition["group"], version["name"], names["plural"], names["kind"]) == MARKET_STREAM
