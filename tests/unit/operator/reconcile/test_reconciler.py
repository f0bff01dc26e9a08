"""One reconcile: what it writes, what it reports, and when the next one is due."""

from collections.abc import Iterable
from typing import Any, cast

import pytest
from marketstream_operator.cluster.claims import Claimant
from marketstream_operator.cluster.projections import Deployment, MarketStream
from marketstream_operator.kube.api import ApiError, ConflictError
from marketstream_operator.names import StreamKey, pair_of_symbol, symbol_identity
from marketstream_operator.plan.connection import Connection
from marketstream_operator.reconcile.connections import CONNECTION as FIELD
from marketstream_operator.reconcile.connections import Connections
from marketstream_operator.reconcile.findings import Findings
from marketstream_operator.reconcile.freshness import FreshnessMonitor
from marketstream_operator.reconcile.probers import Probers
from marketstream_operator.reconcile.reconciler import LATER_S, SECRET_S, Feedback, Platform, Reconciler
from marketstream_operator.reconcile.report import Reporter
from marketstream_operator.reconcile.topics import READY, TopicState
from marketstream_operator.resource.errors import AwaitedError, SpecError
from marketstream_operator.resource.spec import Spec
from marketstream_operator.settings import OperatorSettings

from tests.unit.operator.reconcile.fakes import CONNECTION, KEY, Objects, cluster_of, deployment, names, stream

PAIR = pair_of_symbol("AAA")


class World:
    """A reconciler, and everything that it receives and gives away."""

    def __init__(self, *live: Deployment) -> None:
        self.objects = Objects()
        self.cluster = cluster_of(self.objects, *live)
        self.connection: Connection | SpecError = CONNECTION
        self.topics = READY
        self.reported: list[Findings] = []
        self.forgotten: list[StreamKey] = []
        self.requeued: list[tuple[StreamKey, float]] = []
        self.lost: list[MarketStream] = []
        self.claimed = 0
        freshness = FreshnessMonitor(lambda _: None)
        self.reconciler = Reconciler(
            OperatorSettings(),
            self.cluster,
            Platform(cast("Connections", self), Probers(lambda _: None), self, freshness),
            Feedback(
                cast("Reporter", self), lambda key, seconds: self.requeued.append((key, seconds)), self.lost.append
            ),
        )

    async def of(self, _namespace: str, _spec: Spec) -> Connection:
        if isinstance(self.connection, SpecError):
            raise self.connection
        return self.connection

    async def ensure(self, _owner: Any, _spec: Spec, _symbols: Iterable[str], connection: Connection) -> TopicState:
        assert connection == CONNECTION
        return self.topics

    async def claim(self, wanted: MarketStream) -> MarketStream:
        self.claimed += 1
        return wanted

    async def report(self, _stream: MarketStream, findings: Findings) -> None:
        self.reported.append(findings)

    def forget(self, key: StreamKey) -> None:
        self.forgotten.append(key)

    async def reconcile(self, wanted: MarketStream) -> None:
        self.cluster.observed.see_stream(wanted)
        await self.reconciler.reconcile(KEY)


async def test_the_pair_is_created_and_then_reported_once() -> None:
    world = World()
    await world.reconcile(stream())
    assert sorted(world.objects.applied) == sorted(names(PAIR))
    (findings,) = world.reported
    assert (findings.error, [pair.symbols for pair in findings.pairs], len(findings.live)) == (None, [("AAA",)], 2)
    assert world.requeued == []


async def test_missing_topics_are_reported_and_checked_again_later() -> None:
    world = World()
    world.topics = TopicState(False, "TopicsNotReady", "not yet")
    await world.reconcile(stream())
    assert world.reported[0].topics == world.topics
    assert world.requeued == [(KEY, LATER_S)]


async def test_a_permanent_refusal_is_reported_as_an_error_of_the_spec_and_raised() -> None:
    world = World()
    world.objects.refusal = ApiError("exceeded quota", 403)
    with pytest.raises(ApiError, match="exceeded quota"):
        await world.reconcile(stream())
    (findings,) = world.reported
    assert str(findings.error) == "spec: exceeded quota"


@pytest.mark.parametrize(
    "failure", [ApiError("no answer"), ApiError("busy", 429), ApiError("broken", 500), ConflictError("changed", 409)]
)
async def test_a_failure_that_may_pass_is_raised_and_not_reported(failure: ApiError) -> None:
    world = World()
    world.objects.refusal = failure
    with pytest.raises(ApiError) as caught:
        await world.reconcile(stream())
    assert caught.value is failure
    assert world.reported == []


async def test_without_a_good_spec_the_running_pair_is_left_alone() -> None:
    world = World(*(deployment("old", role, symbols=("OLD",)) for role in ("producer", "processor")))
    await world.reconcile(stream(symbols=["a"]))
    assert (world.objects.applied, world.objects.deleted) == ([], [])
    (findings,) = world.reported
    assert findings.error is not None
    assert findings.error.field == "spec.symbols[0]"
    assert [pair.symbols for pair in findings.pairs] == [("OLD",)]


async def test_without_a_secret_the_next_reconcile_is_soon() -> None:
    world = World()
    world.connection = SpecError(FIELD, "there is no Secret")
    await world.reconcile(stream())
    assert world.reported[0].error is world.connection
    assert world.requeued == [(KEY, SECRET_S)]


async def test_a_stream_that_waits_for_a_secret_shows_the_pairs_that_it_will_get() -> None:
    world = World()
    world.connection = AwaitedError(FIELD, "not yet")
    older = StreamKey("markets", "older")
    world.cluster.claims.claim(Claimant("2026-01-01T00:00:00Z", "o", older), [symbol_identity("simulator", "BBB")])
    await world.reconcile(stream(symbols=["AAA", "BBB"]))
    (findings,) = world.reported
    assert ([pair.symbols for pair in findings.pairs], findings.conflicts) == ([("AAA",)], {"BBB": older})
    assert (world.objects.applied, world.requeued) == ([], [(KEY, SECRET_S)])


async def test_a_deleted_stream_is_forgotten_and_not_reported() -> None:
    world = World()
    await world.reconcile(stream(is_deleted=True))
    assert (world.forgotten, world.reported, world.objects.applied) == ([KEY], [], [])


@pytest.mark.parametrize("exists", [True, False])
async def test_deployments_that_have_disappeared_are_created_again_only_if_the_stream_exists(exists: bool) -> None:
    """Garbage collection deletes them before a watch may have reported the end of the stream."""
    world = World()
    world.objects.exists = exists
    seen = stream()
    seen.status["symbols"] = [{"name": "AAA", "pair": PAIR}]
    await world.reconcile(seen)
    assert world.lost == ([] if exists else [seen])
    assert len(world.objects.applied) == (2 if exists else 0)
    assert len(world.reported) == (1 if exists else 0)


async def test_symbols_of_an_older_stream_are_conflicts() -> None:
    world = World()
    older = StreamKey("markets", "older")
    world.cluster.claims.claim(Claimant("2026-01-01T00:00:00Z", "o", older), [symbol_identity("simulator", "BBB")])
    await world.reconcile(stream(symbols=["AAA", "BBB"]))
    (findings,) = world.reported
    assert findings.conflicts == {"BBB": older}
    assert [pair.symbols for pair in findings.pairs] == [("AAA",)]
