"""What is known of the cluster, when sights of it come late or contradict each other."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from marketstream_operator.cluster import informer
from marketstream_operator.cluster.apply import Applier
from marketstream_operator.cluster.claims import Claims
from marketstream_operator.cluster.informer import Informer
from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import Child, Deployment, child_of, stream_of
from marketstream_operator.kinds import DEPLOYMENT, MARKET_STREAM, POD, Kind
from marketstream_operator.names import StreamKey, labels, symbol_identity

BTC = symbol_identity("binance", "BTCUSDT")
OLD, NEW = StreamKey("markets", "old"), StreamKey("markets", "new")


def child(name: str = "pod", *, of: str = "old", uid: str = "1", version: int = 1, **changes: Any) -> dict[str, Any]:
    metadata = {
        "name": name, "namespace": "markets", "uid": uid, "resourceVersion": str(version), "generation": 1,
        "labels": labels(of, "binance", "producer", "p0"), "annotations": {"marketstream.io/symbols": "BTCUSDT"},
    }  # fmt: skip
    return {"metadata": metadata, "spec": {"replicas": 1}, "status": {}, **changes}


def stream(name: str, *, uid: str, created: str = "2026-01-01T00:00:00Z", version: int = 1, **spec: Any) -> Any:
    metadata = {
        "name": name, "namespace": "markets", "uid": uid, "resourceVersion": str(version), "generation": version,
        "creationTimestamp": created,
    }  # fmt: skip
    return {"metadata": metadata, "spec": {"exchange": "binance", "symbols": ["BTCUSDT"], **spec}}


def seen(kind: Kind, raw: dict[str, Any]) -> Child:
    found = child_of(kind, raw)
    assert found is not None
    return found


def test_an_older_sight_does_not_replace_a_newer_one_even_of_another_object_of_that_name() -> None:
    observed = Observed()
    assert observed.see(DEPLOYMENT, seen(DEPLOYMENT, child(uid="2", version=9)))
    assert not observed.see(DEPLOYMENT, seen(DEPLOYMENT, child(uid="1", version=8)))
    assert [each.uid for each in observed.deployments(OLD)] == ["2"]


def test_an_object_whose_label_names_another_stream_is_no_longer_of_the_first() -> None:
    observed = Observed()
    observed.see(POD, seen(POD, child()))
    assert observed.see(POD, seen(POD, child(of="new", version=2))) == {OLD, NEW}
    assert (observed.pods(OLD), len(observed.pods(NEW))) == ([], 1)
    assert observed.runners_beside(OLD, BTC) == {NEW}
    assert observed.lose(POD, "markets", "pod", "1") is not None
    assert observed.runners_beside(OLD, BTC) == set()


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_has_ended_is_none(phase: str) -> None:
    """An evicted pod stays beside its successor for days."""
    assert child_of(POD, child(status={"phase": phase})) is None


TIMED_OUT = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}


@pytest.mark.parametrize(
    ("condition", "observed_generation", "is_stuck"),
    [
        (TIMED_OUT, 1, True),
        (TIMED_OUT, 0, False),  # of the version before
        (TIMED_OUT | {"reason": "FailedCreate"}, 1, False),
        ({"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}, 1, False),
    ],
)
def test_a_rollout_is_stuck_when_kubernetes_says_so_of_the_newest_version(
    condition: dict[str, str], observed_generation: int, is_stuck: bool
) -> None:
    """The old pods stay meanwhile: it is ready, but not settled."""
    counts = {"replicas": 2, "updatedReplicas": 1, "availableReplicas": 1}
    available = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}
    status = {"observedGeneration": observed_generation, "conditions": [available, condition], **counts}
    found = seen(DEPLOYMENT, child(status=status))
    assert isinstance(found, Deployment)
    assert (found.is_settled, found.is_ready, found.is_stuck) == (False, True, is_stuck)


class Lists:
    """An API that lists what it is given, and meanwhile does what it is told."""

    def __init__(self, meanwhile: Any = lambda: None) -> None:
        self.objects: dict[Kind, list[Any]] = {MARKET_STREAM: [], DEPLOYMENT: [], POD: []}
        self._meanwhile = meanwhile

    async def list(self, kind: Kind, *_: Any) -> AsyncIterator[Any]:
        for each in self.objects[kind]:
            yield each
        self._meanwhile()


def looking(api: Lists) -> tuple[Informer, Observed, Claims, set[StreamKey]]:
    observed, claims, due = Observed(), Claims(), set[StreamKey]()
    where = dict.fromkeys((MARKET_STREAM, DEPLOYMENT, POD), ("markets",))
    applier = Applier(api, observed)  # type: ignore[arg-type]
    looks = Informer(api, where, observed, claims, applier, lambda _: True, lambda key, _: due.add(key))  # type: ignore[arg-type]
    return looks, observed, claims, due


async def test_what_ends_during_a_look_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer, "WATCH_LAG_S", 0)
    api = Lists(lambda: (looks.child_lost(POD, "markets", "pod", "1"), looks.stream_event(True, gone)))
    looks, observed, claims, _ = looking(api)
    gone = stream_of(stream("old", uid="o"))
    api.objects = {MARKET_STREAM: [stream("old", uid="o")], DEPLOYMENT: [], POD: [child()]}
    looks.stream_event(False, gone)
    looks.child_event(POD, seen(POD, child()))
    assert await asyncio.wait_for(looks.resync(), 5) == 0
    assert (observed.streams, observed.pods(OLD), claims.owner(BTC)) == ({}, [], None)


async def test_what_ends_is_remembered_only_during_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A standby does not look for weeks."""
    monkeypatch.setattr(informer, "WATCH_LAG_S", 0)
    looks, *_ = looking(Lists(lambda: looks.child_lost(POD, "markets", "pod", "1")))
    looks.child_lost(POD, "markets", "pod", "2")
    assert looks._gone == set()
    await asyncio.wait_for(looks.resync(), 5)
    assert looks._gone == set()


async def test_what_a_watch_has_missed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer, "WATCH_LAG_S", 0)
    api = Lists()
    looks, observed, _, due = looking(api)
    looks.child_event(POD, seen(POD, child("missed-end")))
    api.objects = {
        MARKET_STREAM: [stream("new", uid="n")],
        DEPLOYMENT: [],
        POD: [child("missed-begin", of="new", uid="2")],
    }
    assert await asyncio.wait_for(looks.resync(), 5) == 3
    assert ([each.name for each in observed.pods(NEW)], observed.pods(OLD)) == (["missed-begin"], [])
    assert due == {OLD, NEW}


def test_a_spec_that_cannot_work_claims_what_the_last_good_one_did() -> None:
    looks, _, claims, _ = looking(Lists())
    looks.stream_event(False, stream_of(stream("old", uid="o", symbols=["BTCUSDT"])))
    looks.stream_event(False, stream_of(stream("new", uid="n", symbols=["ETHUSDT", "BTCUSDT"], created="2026-01-02")))
    bad = stream("old", uid="o", version=2, symbols=["ETHUSDT"], retention={"trades": "nonsense"})
    looks.stream_event(False, stream_of(bad))
    assert claims.owner(BTC) == OLD
    assert claims.owner(symbol_identity("binance", "ETHUSDT")) == NEW


async def test_a_new_leader_knows_what_a_spec_that_cannot_work_still_runs() -> None:
    api = Lists()
    looks, _, claims, _ = looking(api)
    api.objects[MARKET_STREAM] = [
        stream("old", uid="o", symbols=["?"]), stream("new", uid="n", created="2026-01-02T00:00:00Z")
    ]  # fmt: skip
    api.objects[DEPLOYMENT] = [child("old-p0-producer")]
    await looks.first_sync()
    assert claims.owner(BTC) == OLD


def test_symbols_that_share_a_topic_are_one() -> None:
    looks, _, claims, _ = looking(Lists())
    slash = stream("old", uid="o", exchange="simulator", symbols=["BTC/USDT"])
    dash = stream("new", uid="n", exchange="simulator", symbols=["BTC-USDT"], created="2026-01-02T00:00:00Z")
    looks.stream_event(False, stream_of(slash))
    looks.stream_event(False, stream_of(dash))
    assert claims.owner(symbol_identity("simulator", "BTC-USDT")) == OLD
