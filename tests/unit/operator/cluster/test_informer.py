"""The informer: watch events and lists merged, when they come late or contradict each other."""

import asyncio

import pytest
from marketstream_operator.cluster import informer
from marketstream_operator.cluster.apply import Applier
from marketstream_operator.cluster.claims import Claims
from marketstream_operator.cluster.informer import Informer
from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import stream_of
from marketstream_operator.kinds import DEPLOYMENT, MARKET_STREAM, POD
from marketstream_operator.kube.api import ApiError
from marketstream_operator.names import StreamKey, symbol_identity
from marketstream_operator.resource.spec import EXCHANGES, Spelling

from tests.unit.operator.cluster.raw import BTC, NEW, OLD, Lists, child, projection, stream


def informed(api: Lists) -> tuple[Informer, Observed, Claims, set[StreamKey]]:
    observed, claims, due = Observed(), Claims(), set[StreamKey]()
    where = dict.fromkeys((MARKET_STREAM, DEPLOYMENT, POD), ("markets", "elsewhere"))
    applier = Applier(api, observed, "markets/one")  # type: ignore[arg-type]
    serves, add = (lambda _: True), (lambda key, _: due.add(key))
    view = Informer(api, where, observed, claims, applier, serves, add)  # type: ignore[arg-type]
    return view, observed, claims, due


@pytest.fixture(autouse=True)
def no_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer, "WATCH_LAG_S", 0)


async def test_what_is_deleted_during_a_resync_does_not_come_back() -> None:
    api = Lists(lambda: (view.child_lost(POD, "markets", "pod", "1"), view.stream_event(True, gone)))
    view, observed, claims, _ = informed(api)
    gone = stream_of(stream("old", uid="o"))
    api.objects = {MARKET_STREAM: [stream("old", uid="o")], DEPLOYMENT: [], POD: [child()]}
    view.stream_event(False, gone)
    view.child_event(POD, projection(POD, child()))
    assert await asyncio.wait_for(view.resync(), 5) == 0
    assert (observed.streams, observed.pods(OLD), claims.owner(BTC)) == ({}, [], None)


async def test_deletions_are_remembered_only_during_a_resync() -> None:
    """A standby may not resync for weeks."""
    view, *_ = informed(Lists(lambda: view.child_lost(POD, "markets", "pod", "1")))
    view.child_lost(POD, "markets", "pod", "2")
    assert view._gone == set()
    await asyncio.wait_for(view.resync(), 5)
    assert view._gone == set()


async def test_what_a_watch_has_missed_is_found() -> None:
    api = Lists()
    view, observed, _, due = informed(api)
    view.child_event(POD, projection(POD, child("missed-end")))
    api.objects = {
        MARKET_STREAM: [stream("new", uid="n")],
        DEPLOYMENT: [],
        POD: [child("missed-begin", of="new", uid="2")],
    }
    assert await asyncio.wait_for(view.resync(), 5) == 3
    assert ([each.name for each in observed.pods(NEW)], observed.pods(OLD)) == (["missed-begin"], [])
    assert due == {OLD, NEW}


async def test_what_is_in_a_namespace_that_may_not_be_listed_is_neither_forgotten_nor_seen() -> None:
    api = Lists()
    view, observed, _, due = informed(api)
    view.stream_event(False, stream_of(stream("old", uid="o")))
    view.stream_event(False, stream_of(stream("far", uid="f", namespace="elsewhere")))
    view.child_event(POD, projection(POD, child()))
    due.clear()
    api.objects[MARKET_STREAM] = [stream("far", uid="f", namespace="elsewhere")]
    api.errors[POD, "markets"] = ApiError("forbidden", 403)
    assert await asyncio.wait_for(view.resync(), 5) == 0
    assert not view.sees("markets")
    assert view.sees("elsewhere")
    assert (OLD in observed.streams, len(observed.pods(OLD)), due) == (True, 1, set())
    api.errors.clear()
    assert await asyncio.wait_for(view.resync(), 5) == 2
    assert view.sees("markets")
    assert (OLD in observed.streams, observed.pods(OLD)) == (False, [])


def test_who_owns_a_symbol_is_due_when_another_ceases_to_run_it() -> None:
    view, _, _, due = informed(Lists())
    view.stream_event(False, stream_of(stream("old", uid="o")))
    view.child_event(POD, projection(POD, child(of="new")))
    due.clear()
    view.child_lost(POD, "markets", "pod", "1")
    assert due == {OLD, NEW}


def test_a_spec_that_cannot_work_claims_what_the_last_good_one_did() -> None:
    view, _, claims, _ = informed(Lists())
    view.stream_event(False, stream_of(stream("old", uid="o", symbols=["BTCUSDT"])))
    view.stream_event(False, stream_of(stream("new", uid="n", symbols=["ETHUSDT", "BTCUSDT"], created="2026-01-02")))
    bad = stream("old", uid="o", version=2, symbols=["ETHUSDT"], retention={"trades": "nonsense"})
    view.stream_event(False, stream_of(bad))
    assert claims.owner(BTC) == OLD
    assert claims.owner(symbol_identity("binance", "ETHUSDT")) == NEW


async def test_a_new_leader_knows_what_a_spec_that_cannot_work_still_runs() -> None:
    api = Lists()
    view, _, claims, _ = informed(api)
    api.objects[MARKET_STREAM] = [
        stream("old", uid="o", symbols=["?"]), stream("new", uid="n", created="2026-01-02T00:00:00Z")
    ]  # fmt: skip
    api.objects[DEPLOYMENT] = [child("old-p0-producer")]
    await view.first_sync()
    assert claims.owner(BTC) == OLD


def test_symbols_that_share_a_topic_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """No exchange so far has symbols with separators."""
    monkeypatch.setitem(EXCHANGES, "kraken", Spelling("^[A-Z0-9]+([/-][A-Z0-9]+)?$", 20, "capital letters"))
    view, _, claims, _ = informed(Lists())
    slash = stream("old", uid="o", exchange="kraken", symbols=["BTC/USDT"])
    dash = stream("new", uid="n", exchange="kraken", symbols=["BTC-USDT"], created="2026-01-02T00:00:00Z")
    view.stream_event(False, stream_of(slash))
    view.stream_event(False, stream_of(dash))
    assert claims.owner(symbol_identity("kraken", "BTC-USDT")) == OLD
