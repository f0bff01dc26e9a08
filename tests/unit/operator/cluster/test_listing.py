"""Lists of everything, when some namespaces may not be listed."""

import pytest
from marketstream_operator.cluster.listing import Lister, NamespacesByKind
from marketstream_operator.kinds import DEPLOYMENT, MARKET_STREAM, POD
from marketstream_operator.kube.api import ApiError

from tests.unit.operator.cluster.raw import Lists, child, stream

FORBIDDEN = ApiError("pods is forbidden", 403)
EVERYWHERE: NamespacesByKind = dict.fromkeys((MARKET_STREAM, DEPLOYMENT, POD))
IN_TWO: NamespacesByKind = dict.fromkeys((MARKET_STREAM, DEPLOYMENT, POD), ("one", "two"))


def lister(api: Lists, where: NamespacesByKind) -> Lister:
    return Lister(api, where)  # type: ignore[arg-type]


def in_two_namespaces() -> Lists:
    api = Lists()
    for namespace in ("one", "two"):
        api.objects[MARKET_STREAM].append(stream(f"s-{namespace}", uid=f"s-{namespace}", namespace=namespace))
        api.objects[POD].append(child(f"p-{namespace}", uid=f"p-{namespace}", namespace=namespace))
    return api


@pytest.mark.parametrize("where", [EVERYWHERE, IN_TWO])
async def test_everything_is_listed(where: NamespacesByKind) -> None:
    streams, children, refusals = await lister(in_two_namespaces(), where).list_all()
    assert [each.uid for each in streams] == ["s-one", "s-two"]
    assert {kind: [each.uid for each in found] for kind, found in children.items()} == {
        DEPLOYMENT: [],
        POD: ["p-one", "p-two"],
    }
    assert refusals == {}


async def test_a_kind_is_listed_only_in_its_own_namespaces() -> None:
    streams, children, _ = await lister(in_two_namespaces(), {MARKET_STREAM: ("one", "two"), POD: ("two",)}).list_all()
    assert len(streams) == 2
    assert [each.uid for each in children[POD]] == ["p-two"]


async def test_of_a_namespace_in_which_one_kind_is_forbidden_nothing_is_listed() -> None:
    """Its MarketStreams without its pods would look like MarketStreams that have none."""
    api = in_two_namespaces()
    api.errors[POD, "one"] = FORBIDDEN
    streams, children, refusals = await lister(api, IN_TWO).list_all()
    assert [each.uid for each in streams] == ["s-two"]
    assert [each.uid for each in children[POD]] == ["p-two"]
    assert refusals == {"one": FORBIDDEN}


async def test_when_no_namespace_may_be_listed_the_listing_fails() -> None:
    api = in_two_namespaces()
    api.errors = {(MARKET_STREAM, "one"): FORBIDDEN, (POD, "two"): FORBIDDEN}
    with pytest.raises(ApiError, match="forbidden"):
        await lister(api, IN_TWO).list_all()


@pytest.mark.parametrize(
    ("namespace", "where", "status"), [("one", IN_TWO, 500), ("one", IN_TWO, 404), (None, EVERYWHERE, 403)]
)
async def test_any_other_error_fails_the_listing(namespace: str | None, where: NamespacesByKind, status: int) -> None:
    api = in_two_namespaces()
    api.errors[POD, namespace] = ApiError("no", status)
    with pytest.raises(ApiError, match="no"):
        await lister(api, where).list_all()
