"""Brings what a MarketStream has in line with what it should have.

Level-triggered: it looks at what is there now, so it does not matter what has happened since, or at which point an
earlier attempt ended.
"""

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from marketstream_operator import names
from marketstream_operator.cluster.apply import Applier, write_all
from marketstream_operator.cluster.claims import Claims
from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import Deployment, MarketStream
from marketstream_operator.kinds import DEPLOYMENT, MARKET_STREAM
from marketstream_operator.kube.api import Api, ApiError, ConflictError, GoneError, NotFoundError
from marketstream_operator.names import ROLES, Role, StreamKey
from marketstream_operator.plan import desired
from marketstream_operator.plan.connection import Connection
from marketstream_operator.plan.desired import Owner, Pair
from marketstream_operator.plan.packing import pack
from marketstream_operator.reconcile.conditions import View
from marketstream_operator.reconcile.connections import CONNECTION, Connections
from marketstream_operator.reconcile.drain import NOT_PAUSED, Drains, Pause
from marketstream_operator.reconcile.freshness import FreshnessMonitor
from marketstream_operator.reconcile.report import Reporter, conditions_of
from marketstream_operator.reconcile.rollout import Rollout
from marketstream_operator.reconcile.topics import Topics
from marketstream_operator.resource.errors import SpecError
from marketstream_operator.resource.spec import Spec
from marketstream_operator.resource.validation import read_spec
from marketstream_operator.settings import OperatorSettings

SOON_S: Final = 1.0
"""Seconds after which a pause or a hand-over is looked at again."""

LATER_S: Final = 15.0
"""Seconds after which topics that are not there are looked for again."""

SECRET_S: Final = 6.0
"""Seconds after which a Secret that will not do is read again: nobody watches Secrets. Strimzi makes some of them."""


class Reconciler:
    """Reconciles one MarketStream at a time. `again` asks for another look at one after some seconds; `lost` hears of
    one that is there no more, which no watch has told."""

    def __init__(
        self,
        api: Api,
        settings: OperatorSettings,
        observed: Observed,
        claims: Claims,
        *,
        applier: Applier,
        topics: Topics,
        connections: Connections,
        freshness: FreshnessMonitor,
        reporter: Reporter,
        again: Callable[[StreamKey, float], None],
        lost: Callable[[MarketStream], None],
    ) -> None:
        self._api = api
        self._settings = settings
        self._observed = observed
        self._claims = claims
        self._applier = applier
        self._topics = topics
        self._connections = connections
        self._freshness = freshness
        self._reporter = reporter
        self._again = again
        self._lost = lost
        self._drains = Drains(api, settings)
        self.rollout = Rollout(observed, settings.max_rolling_pairs)
        self._good: dict[StreamKey, tuple[str, Spec, Connection]] = {}
        """What each stream was last understood to want, with the uid that it had."""

    async def reconcile(self, key: StreamKey) -> None:
        """One look at a MarketStream. Raises ApiError, after which it is to be looked at again."""
        for waiting in self.rollout.settle(key):
            self._again(waiting, 0)
        stream = self._observed.streams.get(key)
        if stream is None or stream.is_deleted:
            self._forget(key)  # its children go by garbage collection
            return
        if self._misses_children(stream) and not await self._api.is_there(MARKET_STREAM, *key, stream.uid):
            self._lost(stream)  # else what goes by garbage collection would be made again and again
            return
        spec, connection, error = await self._understood(stream)
        if error is not None and error.field == CONNECTION:
            self._again(key, SECRET_S)
        if spec is None or connection is None:
            await self._reporter.tell(stream, self._left_alone(stream, error))
            return
        try:
            view = await self._arrange(stream, spec, connection, error)
        except ApiError as refused:
            if _is_for_good(refused):  # else nobody would be told before somebody reads the log
                await self._reporter.tell(stream, self._left_alone(stream, error or SpecError("spec", str(refused))))
            raise
        await self._reporter.tell(stream, view)

    def _misses_children(self, stream: MarketStream) -> bool:
        """Whether Deployments of which its status tells are not there."""
        there = Counter(child.pair for child in self._observed.deployments(stream.key))
        return any(there[symbol["pair"]] < len(ROLES) for symbol in stream.status.get("symbols") or ())

    def _forget(self, key: StreamKey) -> None:
        self._freshness.forget(key)
        self._drains.forget(key)
        self._good.pop(key, None)
        self._reporter.forget(key)

    async def _understood(self, stream: MarketStream) -> tuple[Spec | None, Connection | None, SpecError | None]:
        """The spec to work from: that of the MarketStream, or the last good one beside what is wrong with the new."""
        namespace = stream.key.namespace
        try:
            spec = read_spec(stream.spec)
            _check_served(namespace, self._settings)
            connection = await self._connections.of(namespace, spec)
        except SpecError as error:
            if stream.key not in self._good or self._good[stream.key][0] != stream.uid:
                return None, None, error
            _, good, connection = self._good[stream.key]
            # A Secret that is away does not change how pods that run are connected.
            with contextlib.suppress(SpecError):
                connection = await self._connections.of(namespace, good)
            return good, connection, error
        self._good[stream.key] = stream.uid, spec, connection
        return spec, connection, None

    def _left_alone(self, stream: MarketStream, error: SpecError | None) -> View:
        """A stream whose spec cannot work, and of which no good version is known, or one of which the API server
        refuses what is wanted: what runs is left as it is."""
        before, live = conditions_of(stream), self._observed.deployments(stream.key)
        pairs = [Pair(pair, tuple(symbols)) for pair, symbols in _packing(live).items()]
        said, pause = before.get("Paused"), NOT_PAUSED
        if said is not None and said.reason != pause.reason:
            pause = Pause(said.reason, said.message)
        return View(
            generation=stream.generation, error=error, pairs=pairs, pause=pause, **self._runs(stream.key),
            **self._heard(stream.key),
        )  # fmt: skip

    async def _arrange(self, stream: MarketStream, spec: Spec, connection: Connection, error: SpecError | None) -> View:
        key, owner = stream.key, Owner(stream.key, stream.uid)
        mine, conflicts, awaited = self._shared_out(key, spec)
        live = self._observed.deployments(key)
        pairs = [Pair(*entry) for entry in pack(mine, spec.symbols_per_pair, _packing(live)).items()]
        before = conditions_of(stream)
        last_pause = before["Paused"].reason if "Paused" in before else ""
        pause = await self._drains.stage(key, spec, pairs, live, last_pause, connection)
        waiting = await self._apply(owner, spec, pairs, pause, connection)
        await self._prune(owner, pairs)
        topics = await self._topics.ensure(owner, spec, mine, connection)  # last: a Kafka that is away takes seconds
        fresh = before.get("Fresh")
        starting = fresh is None or fresh.status == "Unknown"
        self._follow(key, spec, mine, pause, connection, starting)
        if awaited or pause.reason == "Draining":
            self._again(key, SOON_S)
        elif not topics.is_ready:
            self._again(key, LATER_S)
        return View(
            generation=stream.generation, error=error, conflicts=conflicts, handed_over=awaited, topics=topics,
            pairs=pairs, waiting=waiting, pause=pause, **self._runs(key), **self._heard(key),
        )  # fmt: skip

    def _runs(self, key: StreamKey) -> dict[str, Any]:
        pods = self._observed.pods(key)
        return {"live": self._observed.deployments(key), "problems": [pod.problem for pod in pods if pod.problem]}

    def _heard(self, key: StreamKey) -> dict[str, Any]:
        """What is known of the symbols that are followed; nothing of a stream of which none are."""
        return {
            "readings": self._freshness.readings(key), "is_cache_away": self._freshness.is_away(key),
            "cache_trouble": self._freshness.trouble(key),
        }  # fmt: skip

    def _shared_out(self, key: StreamKey, spec: Spec) -> tuple[list[str], dict[str, StreamKey], list[str]]:
        """The symbols to run; those that an older MarketStream runs; those that wait until another's pods are gone."""
        mine: list[str] = []
        conflicts: dict[str, StreamKey] = {}
        for symbol in spec.symbols:
            owner = self._claims.owner(names.symbol_identity(spec.exchange, symbol))
            if owner is None or owner == key:
                mine.append(symbol)
            else:
                conflicts[symbol] = owner
        awaited = [
            symbol
            for symbol in mine
            if self._observed.runners_beside(key, names.symbol_identity(spec.exchange, symbol))
        ]
        return [symbol for symbol in mine if symbol not in awaited], conflicts, awaited

    async def _apply(
        self, owner: Owner, spec: Spec, pairs: Sequence[Pair], pause: Pause, connection: Connection
    ) -> int:
        """Writes the Deployments that need it. Returns how many pairs have to wait for their turn to roll."""
        operator = desired.operator_digest(self._settings, connection)
        live = {child.name: child for child in self._observed.deployments(owner.key)}

        async def apply(pair: Pair, role: Role, replicas: int, digest: str, child: Deployment | None) -> None:
            body = desired.deployment(owner, spec, pair, role, replicas, connection, self._settings, digest)
            await self._applier.apply(DEPLOYMENT, body, child)

        waiting: set[str] = set()
        writes: list[Callable[[], Awaitable[None]]] = []
        for pair in pairs:
            for role, runs in zip(ROLES, pause.runs, strict=True):
                child = live.get(names.child_name(owner.key.name, pair.id, role))
                of_spec = desired.spec_digest(spec, pair, role, int(runs))
                digest = names.digest(of_spec, operator, owner.uid)
                if not self._applier.is_due(DEPLOYMENT, child, digest):
                    continue
                if _only_operator_changed(child, of_spec, digest) and not self._may_roll(
                    owner.key, pair, live.values()
                ):
                    waiting.add(pair.id)
                    continue
                writes.append(partial(apply, pair, role, int(runs), digest, child))
        await write_all(writes)
        for other in self.rollout.settle(owner.key):  # a write may have changed no pod
            self._again(other, 0)
        return len(waiting)

    def _may_roll(self, key: StreamKey, pair: Pair, live: Iterable[Deployment]) -> bool:
        """A pair that is not ready, or stuck, needs no turn: nothing is lost by rolling it, and it may never settle."""
        is_well = all(child.is_ready and not child.is_stuck for child in live if child.pair == pair.id)
        return not is_well or self.rollout.may_roll(key, pair.id)

    async def _prune(self, owner: Owner, pairs: Iterable[Pair]) -> None:
        """Deletes the Deployments of pairs that are no longer wanted; what has another owner is not ours to delete."""
        wanted = {names.child_name(owner.key.name, pair.id, role) for pair in pairs for role in ROLES}
        await write_all(
            partial(self._api.delete, DEPLOYMENT, owner.key.namespace, child.name, child.uid, child.version)
            for child in self._observed.deployments(owner.key)
            if child.name not in wanted and child.owner_uid == owner.uid
        )

    def _follow(
        self, key: StreamKey, spec: Spec, symbols: Iterable[str], pause: Pause, connection: Connection, starting: bool
    ) -> None:
        if pause is NOT_PAUSED:
            age_s = spec.freshness.max_age_s
            self._freshness.follow(key, connection.settings, spec.exchange, symbols, age_s, starting=starting)
        else:
            self._freshness.forget(key)


def _check_served(namespace: str, settings: OperatorSettings) -> None:
    """Raises SpecError where this operator cannot make topics."""
    if not settings.serves(namespace):
        raise SpecError(
            "metadata.namespace",
            f"this operator makes topics by Strimzi, and only in namespace {settings.pod_namespace}: apply the "
            f"MarketStream there, not in {namespace}",
        )


def _is_for_good(error: ApiError) -> bool:
    """Whether the same would be refused again: by validation, a quota, a webhook or a right that is missing."""
    return error.is_refusal and not isinstance(error, ConflictError | NotFoundError | GoneError)


def _packing(live: Iterable[Deployment]) -> dict[str, list[str]]:
    packed: dict[str, list[str]] = {}
    for child in live:
        known = packed.setdefault(child.pair, [])
        known.extend(symbol for symbol in child.symbols if symbol not in known)
    return packed


def _only_operator_changed(child: Deployment | None, spec_digest: str, digest: str) -> bool:
    return child is not None and child.spec_digest == spec_digest and child.digest != digest
