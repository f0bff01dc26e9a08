"""Reconciles of a MarketStream: they bring its objects in line with its spec.

Reconciles are level-triggered: they compare the present objects with the spec, so it does not matter which changes led
here, or at which point an earlier reconcile ended.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from marketstream_operator import names
from marketstream_operator.cluster.access import Cluster
from marketstream_operator.cluster.apply import OtherOperatorError
from marketstream_operator.cluster.projections import Deployment, MarketStream
from marketstream_operator.kinds import MARKET_STREAM
from marketstream_operator.kube.api import ApiError, ConflictError, GoneError, NotFoundError
from marketstream_operator.names import ROLES, StreamKey
from marketstream_operator.plan.desired import Owner, Pair, settings_digest
from marketstream_operator.plan.packing import pack
from marketstream_operator.reconcile.connections import CONNECTION, Connections
from marketstream_operator.reconcile.deployments import Deployments
from marketstream_operator.reconcile.drain import NOT_PAUSED, Drains, Pause
from marketstream_operator.reconcile.findings import Findings
from marketstream_operator.reconcile.freshness import FreshnessMonitor
from marketstream_operator.reconcile.ownership import Held, Ownership
from marketstream_operator.reconcile.probers import Probers
from marketstream_operator.reconcile.report import Reporter, conditions_of
from marketstream_operator.reconcile.rollout import Rollout
from marketstream_operator.reconcile.topics import Topics
from marketstream_operator.reconcile.wanted import Wanted, WantedSpecs
from marketstream_operator.resource.errors import AwaitedError, SpecError
from marketstream_operator.resource.spec import Spec
from marketstream_operator.resource.validation import read_spec
from marketstream_operator.settings import OperatorSettings

SOON_S: Final = 1.0
"""Seconds until the next reconcile of a stream that is draining or waits for a hand-over."""

LATER_S: Final = 15.0
"""Seconds until the next reconcile of a stream with missing topics."""

SECRET_S: Final = 6.0
"""Seconds until the next reconcile of a stream without a suitable Secret.

Secrets are not watched, and Strimzi may still be creating one.
"""


@dataclass(frozen=True, slots=True)
class Platform:
    """Kafka, Redis and the Secrets that lead to them, as a reconcile uses them."""

    connections: Connections
    probers: Probers
    topics: Topics
    freshness: FreshnessMonitor


@dataclass(frozen=True, slots=True)
class Feedback:
    """Receivers of the results of a reconcile."""

    reporter: Reporter
    requeue: Callable[[StreamKey, float], None]
    """Reconciles a MarketStream again after so many seconds."""
    on_lost: Callable[[MarketStream], None]
    """Receives a MarketStream that no longer exists, although no watch has reported its deletion."""


class Reconciler:
    """Reconciles one MarketStream at a time."""

    def __init__(self, settings: OperatorSettings, cluster: Cluster, platform: Platform, feedback: Feedback) -> None:
        self._cluster = cluster
        self._platform = platform
        self._feedback = feedback
        self.rollout = Rollout(cluster.observed, settings.max_rolling_pairs, settings_digest(settings))
        self._wanted = WantedSpecs(settings, platform.connections)
        self._deployments = Deployments(settings, cluster, self.rollout)
        self._drains = Drains(cluster.api, settings, platform.probers)
        self._ownership = Ownership(cluster.observed, settings.identity)

    async def reconcile(self, key: StreamKey) -> None:
        """Reconcile a MarketStream once and report its status.

        Raises ApiError, NotLeadingError: the MarketStream is to be reconciled again.
        """
        self.rollout.release(key)
        try:
            await self._reconcile(key)
        finally:
            for waiting in self.rollout.next(key):
                self._feedback.requeue(waiting, 0)

    async def _reconcile(self, key: StreamKey) -> None:
        stream = self._cluster.observed.streams.get(key)
        if stream is None or stream.is_deleted:
            self._forget(key)  # garbage collection deletes its children
            return
        if self._misses_children(stream) and not await self._cluster.api.is_there(MARKET_STREAM, *key, stream.uid):
            self._feedback.on_lost(stream)  # else it would recreate what garbage collection deletes
            return
        held = self._ownership.held(stream)
        if held is not None:
            await self._feedback.reporter.report(stream, self._not_mine(stream, held))
            return
        if not self._ownership.is_claimed(stream):
            stream = await self._feedback.reporter.claim(stream)
        findings, refusal = await self._attempt(stream)
        await self._feedback.reporter.report(stream, findings)
        if refusal is not None:
            raise refusal

    def _misses_children(self, stream: MarketStream) -> bool:
        """Return True if Deployments of pairs in the status of the MarketStream are missing."""
        there = Counter(child.pair for child in self._cluster.observed.deployments(stream.key))
        return any(there[symbol["pair"]] < len(ROLES) for symbol in stream.status.get("symbols") or ())

    def _forget(self, key: StreamKey) -> None:
        self._platform.freshness.forget(key)
        self._drains.forget(key)
        self._platform.probers.forget(key)
        self._wanted.forget(key)
        self._ownership.forget(key)
        self._feedback.reporter.forget(key)

    async def _attempt(self, stream: MarketStream) -> tuple[Findings, ApiError | None]:
        """Bring the stream in line with its spec. Return the findings, and a permanent refusal by the API server.

        Raises ApiError, NotLeadingError for a failure that may pass, which the status does not report.
        """
        wanted, error = await self._wanted.of(stream)
        if error is not None and error.field == CONNECTION:
            self._feedback.requeue(stream.key, SECRET_S)
        if wanted is None:
            return self._left_alone(stream, error), None
        try:
            return await self._arrange(stream, wanted, error), None
        except OtherOperatorError as error:
            return self._not_mine(stream, self._ownership.refused(stream.key, error)), None
        except ApiError as refusal:
            if not _is_permanent(refusal):
                raise
            # Unless the status reports it, only readers of the log learn of it.
            return self._left_alone(stream, error or SpecError("spec", str(refusal))), refusal

    def _not_mine(self, stream: MarketStream, held: Held) -> Findings:
        """Return the findings for a stream that another operator serves."""
        if held.again_s is not None:
            self._feedback.requeue(stream.key, held.again_s)
        self._platform.freshness.forget(stream.key)
        return msgspec.structs.replace(self._left_alone(stream, None), other_operator=held.message)

    def _left_alone(self, stream: MarketStream, error: SpecError | None) -> Findings:
        """Return the findings for a stream whose Deployments are left unchanged.

        Either its spec cannot work, or not yet, and no good one is known; or the API server rejects an object that it
        needs.
        """
        before, live = conditions_of(stream), self._cluster.observed.deployments(stream.key)
        packing: Mapping[str, Iterable[str]] = _packing(live)
        conflicts: Mapping[str, StreamKey] = {}
        if isinstance(error, AwaitedError):  # the spec is right: show the pairs that it will get
            spec = read_spec(stream.spec)
            mine, conflicts, _ = self._split_symbols(stream.key, spec)
            packing = pack(mine, spec.symbols_per_pair, packing)
        pairs = [Pair(pair, tuple(symbols)) for pair, symbols in packing.items()]
        said, pause = before.get("Paused"), NOT_PAUSED
        if said is not None and said.reason != pause.reason:
            pause = Pause(said.reason, said.message)
        return Findings(
            generation=stream.generation, error=error, conflicts=conflicts, pairs=pairs, pause=pause,
            **self._runs(stream.key), **self._heard(stream.key),
        )  # fmt: skip

    async def _arrange(self, stream: MarketStream, wanted: Wanted, error: SpecError | None) -> Findings:
        key, owner = stream.key, Owner(stream.key, stream.uid)
        spec, connection = wanted
        mine, conflicts, awaited = self._split_symbols(key, spec)
        live = self._cluster.observed.deployments(key)
        pairs = [Pair(*entry) for entry in pack(mine, spec.symbols_per_pair, _packing(live)).items()]
        before = conditions_of(stream)
        last_pause = before["Paused"].reason if "Paused" in before else ""
        pause = await self._drains.stage(key, spec, pairs, live, last_pause, connection)
        waiting = await self._deployments.apply(owner, wanted, pairs, pause)
        await self._deployments.prune(owner, pairs, pause)
        topics = await self._platform.topics.ensure(owner, spec, mine, connection)
        fresh = before.get("Fresh")
        self._follow(key, wanted, mine, pause, starting=fresh is None or fresh.status == "Unknown")
        orphans = self._orphans(spec, awaited)
        if (awaited and not orphans) or pause.reason == "Draining":
            self._feedback.requeue(key, SOON_S)
        elif not topics.is_ready:
            self._feedback.requeue(key, LATER_S)
        return Findings(
            generation=stream.generation, error=error, conflicts=conflicts, handed_over=awaited, orphans=orphans,
            topics=topics, pairs=pairs, waiting=waiting, pause=pause, **self._runs(key), **self._heard(key),
        )  # fmt: skip

    def _runs(self, key: StreamKey) -> dict[str, Any]:
        """Return the fields of a Findings about Deployments and pods."""
        pods, live = self._cluster.observed.pods(key), self._cluster.observed.deployments(key)
        return {
            "live": live, "problems": [pod.problem for pod in pods if pod.problem],
            "stopped": self._cluster.applier.stopped(key),
        }  # fmt: skip

    def _heard(self, key: StreamKey) -> dict[str, Any]:
        """Return the fields of a Findings about freshness; they are empty for a stream that is not followed."""
        freshness = self._platform.freshness
        return {
            "readings": freshness.readings(key), "is_redis_unavailable": freshness.is_unavailable(key),
            "redis_problem": freshness.problem(key),
        }  # fmt: skip

    def _split_symbols(self, key: StreamKey, spec: Spec) -> tuple[list[str], dict[str, StreamKey], list[str]]:
        """Return the symbols to run, the symbols that an older MarketStream runs, and the symbols that wait.

        A symbol waits until the pods of another MarketStream have stopped running it.
        """
        mine: list[str] = []
        conflicts: dict[str, StreamKey] = {}
        awaited: list[str] = []
        for symbol in spec.symbols:
            identity = names.symbol_identity(spec.exchange, symbol)
            owner = self._cluster.claims.owner(identity)
            if owner is not None and owner != key:
                conflicts[symbol] = owner
            elif self._cluster.observed.runners_beside(key, identity):
                awaited.append(symbol)
            else:
                mine.append(symbol)
        return mine, conflicts, awaited

    def _orphans(self, spec: Spec, symbols: Iterable[str]) -> list[StreamKey]:
        """Return the Deployments without an owner that run some of these symbols."""
        identities = (names.symbol_identity(spec.exchange, symbol) for symbol in symbols)
        found = (child for identity in identities for child in self._cluster.observed.orphans(identity))
        return sorted({StreamKey(child.key.namespace, child.name) for child in found})

    def _follow(self, key: StreamKey, wanted: Wanted, symbols: Iterable[str], pause: Pause, *, starting: bool) -> None:
        freshness, (spec, connection) = self._platform.freshness, wanted
        if pause is NOT_PAUSED:
            age_s = spec.freshness.max_age_s
            freshness.follow(key, connection.settings, spec.exchange, symbols, age_s, starting=starting)
        else:
            freshness.forget(key)


def _is_permanent(error: ApiError) -> bool:
    """Return True if the same request would be refused again: by validation, a quota, a webhook or a missing right."""
    return error.is_refusal and not isinstance(error, ConflictError | NotFoundError | GoneError)


def _packing(live: Iterable[Deployment]) -> dict[str, list[str]]:
    packed: dict[str, list[str]] = {}
    for child in live:
        known = packed.setdefault(child.pair, [])
        known.extend(symbol for symbol in child.symbols if symbol not in known)
    return packed
