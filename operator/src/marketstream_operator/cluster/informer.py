"""The operator's view of the cluster: merge watch events with full lists, and enqueue the MarketStreams they affect."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from marketstream.telemetry import logger

from marketstream_operator import metrics, names
from marketstream_operator.cluster.apply import Applier
from marketstream_operator.cluster.claims import Claimant, Claims, Symbol
from marketstream_operator.cluster.listing import Lister, NamespacesByKind
from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import Child, MarketStream, symbols_of
from marketstream_operator.kinds import MARKET_STREAM, Kind
from marketstream_operator.kube.api import Api, ApiError
from marketstream_operator.names import StreamKey
from marketstream_operator.resource.errors import SpecError
from marketstream_operator.resource.validation import read_spec

log = logger(__name__)

SETTLE_S: Final = 0.1
"""Seconds for which changes of children are collected: a rollout changes a Deployment many times in a row."""

WATCH_LAG_S: Final = 3.0
"""Seconds that a watch may lag behind a list."""


class Informer:
    """Keeps `observed` and `claims` up to date, and reports the MarketStreams that are due for a reconcile.

    The kinds and namespaces of `where` are listed. `serves` returns True for a namespace whose MarketStreams can be
    served. MarketStreams of another class than `class_name` count as deleted. `due` is called with the key of a
    MarketStream and the seconds after which it is due.
    """

    def __init__(
        self,
        api: Api,
        where: NamespacesByKind,
        observed: Observed,
        claims: Claims,
        applier: Applier,
        serves: Callable[[str], bool],
        due: Callable[[StreamKey, float], None],
        class_name: str = "",
    ) -> None:
        self._lister = Lister(api, where)
        self._kinds = [kind for kind in where if kind != MARKET_STREAM]
        self._observed = observed
        self._claims = claims
        self._applier = applier
        self._serves = serves
        self._due = due
        self._class_name = class_name
        self._is_syncing = False
        self._gone: set[str] = set()
        """Uids of objects deleted since the running sync began, which its lists may still hold."""

        self._refused: set[str] = set()
        """Namespaces that could not be listed by the last sync."""

    def sees(self, namespace: str) -> bool:
        """Return True if the objects of the namespace are known."""
        return namespace not in self._refused

    def stream_event(self, is_deleted: bool, stream: MarketStream) -> None:
        """Process a watch event of a MarketStream."""
        if is_deleted:
            self._observed.foreign.discard(stream.key)
            self._lose_stream(stream)
        else:
            self._see_stream(stream)

    def child_event(self, kind: Kind, child: Child) -> None:
        """Process a watch event of an existing object with the operator's labels."""
        for key in self._observed.see(kind, child):
            self._due(key, SETTLE_S)

    def child_lost(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Forget an object that was deleted, has ended, or no longer has the operator's labels."""
        self._lose(kind, namespace, name, uid)

    def _see_stream(self, stream: MarketStream) -> bool:
        if stream.class_name != self._class_name:
            return self._see_foreign(stream)
        self._observed.foreign.discard(stream.key)
        if not self._observed.see_stream(stream):
            return False
        self._due(stream.key, 0)
        self._claim(stream)
        return True

    def _see_foreign(self, stream: MarketStream) -> bool:
        """Give up a MarketStream that another operator is to serve. Return True if this one has served it."""
        known = self._observed.streams.get(stream.key)
        if known is not None and known.version >= stream.version:
            return False
        self._observed.foreign.add(stream.key)
        return known is not None and self._lose_stream(known)

    def _claim(self, stream: MarketStream) -> None:
        """Claim the symbols of the spec for a stream.

        With an invalid spec, the stream keeps its earlier claims or, when these are unknown, claims the symbols that it
        runs: its pairs may continue with the last valid spec.
        """
        claimant = Claimant(stream.created, stream.uid, stream.key)
        if stream.is_deleted:
            affected = self._claims.drop(stream.key)
        else:
            wanted = self._symbols_of_spec(stream)
            if wanted is None:
                wanted = self._claims.of(stream.key) or self._observed.run_by(stream.key)
            affected = self._claims.claim(claimant, wanted)
        for other in affected:
            self._due(other, 0)

    def _symbols_of_spec(self, stream: MarketStream) -> Iterable[Symbol] | None:
        """Return the symbols that the stream may claim by its spec; None when the spec is invalid."""
        if not self._serves(stream.key.namespace):
            return ()
        try:
            spec = read_spec(stream.spec)
        except SpecError:
            return None
        return [names.symbol_identity(spec.exchange, symbol) for symbol in spec.symbols]

    def _lose_stream(self, stream: MarketStream) -> bool:
        if not self._observed.lose_stream(stream.key, stream.uid):
            return False
        self._note_deletion(stream.uid)
        self._due(stream.key, 0)
        for other in self._claims.drop(stream.key):
            self._due(other, 0)
        return True

    def _lose(self, kind: Kind, namespace: str, name: str, uid: str) -> bool:
        self._note_deletion(uid)
        child = self._observed.lose(kind, namespace, name, uid)
        if child is None:
            return False
        self._applier.forget(kind, namespace, name)
        self._due(child.key, SETTLE_S)
        for other in self._waiting_for(child):
            self._due(other, SETTLE_S)
        return True

    def _note_deletion(self, uid: str) -> None:
        if self._is_syncing:
            self._gone.add(uid)

    def _waiting_for(self, child: Child) -> set[StreamKey]:
        """Return the other MarketStreams that own symbols of this child, and so may wait for its end."""
        owners = {self._claims.owner(symbol) for symbol in symbols_of(child)}
        return {owner for owner in owners if owner is not None and owner != child.key}

    async def first_sync(self) -> None:
        """List everything for the first time: the watches may not have reported everything yet. Raises ApiError."""
        with self._noting_deletions():
            await self._sync(0)

    async def resync(self) -> int:
        """List everything, wait for the watches to report the same, and apply the changes that they missed.

        Return the number of missed changes. Raises ApiError.
        """
        with self._noting_deletions():
            missed = await self._sync(WATCH_LAG_S)
        for kind, changes in missed.items():
            metrics.WATCH_MISSED.labels(kind.plural).inc(changes)
        if total := sum(missed.values()):
            log.warning("resync found changes that the watches missed", changes=total)
        return total

    @contextlib.contextmanager
    def _noting_deletions(self) -> Iterator[None]:
        self._is_syncing = True
        try:
            yield
        finally:
            self._is_syncing = False
            self._gone.clear()

    async def _sync(self, lag_s: float) -> Counter[Kind]:
        """List everything, wait `lag_s` seconds, apply the changes, and return their number by kind."""
        known = {kind: list(self._observed.all(kind)) for kind in self._kinds}
        known_streams = list(self._observed.streams.values())
        streams, children, refusals = await self._lister.list_all()
        self._log_refusals(refusals)
        await asyncio.sleep(lag_s)
        missed = Counter[Kind]()
        for stream in streams:
            missed[MARKET_STREAM] += stream.uid not in self._gone and self._see_stream(stream)
        listed = {stream.uid for stream in streams}
        keys = {stream.key for stream in streams}
        self._observed.foreign -= {
            key for key in self._observed.foreign if key not in keys and key.namespace not in refusals
        }
        for stream in known_streams:
            if stream.uid not in listed and stream.key.namespace not in refusals:
                missed[MARKET_STREAM] += self._lose_stream(stream)
        for kind in self._kinds:
            lasting = [child for child in known[kind] if child.key.namespace not in refusals]
            missed[kind] += self._apply_listing(kind, lasting, children[kind])
        for stream in self._observed.streams.values():
            self._claim(stream)  # a Deployment of the stream may have been observed after the stream itself
        self._refused = set(refusals)  # only now are the objects of a namespace that is no longer refused known
        return missed

    def _apply_listing(self, kind: Kind, known: Iterable[Child], listed: Iterable[Child]) -> int:
        """Store listed objects and forget known ones that were not listed. Return the number of changes."""
        changes, listed_uids = 0, set[str]()
        for child in listed:
            listed_uids.add(child.uid)
            affected = self._observed.see(kind, child) if child.uid not in self._gone else set()
            changes += bool(affected)
            for key in affected:
                self._due(key, 0)
        for child in known:
            if child.uid not in listed_uids:
                changes += self._lose(kind, child.key.namespace, child.name, child.uid)
        return changes

    def _log_refusals(self, refusals: Mapping[str, ApiError]) -> None:
        """Log the namespaces that are newly refused, and those that are no longer refused."""
        for namespace in refusals.keys() - self._refused:
            log.warning(
                "namespace refused, its objects stay unchanged: grant the operator its role there, or remove the "
                "namespace from WATCH_NAMESPACES",
                namespace=namespace, error=str(refusals[namespace]),
            )  # fmt: skip
        for namespace in self._refused - refusals.keys():
            log.info("namespace access recovered", namespace=namespace)
        self._refused |= refusals.keys()
