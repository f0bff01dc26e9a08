"""All that the operator sees: events come in here, looks at everything too, and keys of MarketStreams go out."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from marketstream.telemetry import logger

from marketstream_operator import metrics, names
from marketstream_operator.cluster.apply import Applier
from marketstream_operator.cluster.claims import Claimant, Claims
from marketstream_operator.cluster.listing import Lister, Where
from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import Child, MarketStream, symbols_of
from marketstream_operator.kinds import MARKET_STREAM, Kind
from marketstream_operator.kube.api import Api, ApiError
from marketstream_operator.names import StreamKey
from marketstream_operator.resource.errors import SpecError
from marketstream_operator.resource.validation import read_spec

log = logger(__name__)

SETTLE_S: Final = 0.1
"""Seconds for which changes of children are gathered: a rollout changes a Deployment many times in a row."""

WATCH_LAG_S: Final = 3.0
"""Seconds after which a watch should have told what a list has shown."""


class Informer:
    """What is there. `serves` tells whether MarketStreams of a namespace can be served; `due` hears which MarketStream
    is to be looked at, and after how many seconds."""

    def __init__(
        self,
        api: Api,
        where: Where,
        observed: Observed,
        claims: Claims,
        applier: Applier,
        serves: Callable[[str], bool],
        due: Callable[[StreamKey, float], None],
    ) -> None:
        self._lister = Lister(api, where)
        self._kinds = [kind for kind in where if kind != MARKET_STREAM]
        self._observed = observed
        self._claims = claims
        self._applier = applier
        self._serves = serves
        self._due = due
        self._is_syncing = False
        self._gone: set[str] = set()
        """The uids of what has ended since a look began, while it is under way: it must not come back from a list that
        is older."""

        self._refused: set[str] = set()
        """The namespaces that could not be listed when last looked at."""

    def sees(self, namespace: str) -> bool:
        """Whether what is in a namespace is known."""
        return namespace not in self._refused

    def stream_event(self, is_deleted: bool, stream: MarketStream) -> None:
        """A MarketStream is there as told, or is there no more."""
        if is_deleted:
            self._lose_stream(stream)
        else:
            self._see_stream(stream)

    def child_event(self, kind: Kind, child: Child) -> None:
        """An object that carries the operator's labels is there as told."""
        for key in self._observed.see(kind, child):
            self._due(key, SETTLE_S)

    def child_lost(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """It is there no more, or no concern of ours any more."""
        self._lose(kind, namespace, name, uid)

    def _see_stream(self, stream: MarketStream) -> bool:
        if not self._observed.see_stream(stream):
            return False
        self._due(stream.key, 0)
        self._claim(stream)
        return True

    def _claim(self, stream: MarketStream) -> None:
        """A stream asks for the symbols of its spec. One whose spec cannot work keeps those that it has asked for
        before, or, when that is not known, those that it runs: it may go on with its last good version."""
        claimant = Claimant(stream.created, stream.uid, stream.key)
        if stream.is_deleted:
            concerned = self._claims.drop(stream.key)
        else:
            wanted = self._asked_for(stream)
            if wanted is None:
                wanted = self._claims.of(stream.key) or self._observed.run_by(stream.key)
            concerned = self._claims.claim(claimant, wanted)
        for other in concerned:
            self._due(other, 0)

    def _asked_for(self, stream: MarketStream) -> Iterable[str] | None:
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
        self._end(stream.uid)
        self._due(stream.key, 0)
        for other in self._claims.drop(stream.key):
            self._due(other, 0)
        return True

    def _lose(self, kind: Kind, namespace: str, name: str, uid: str) -> bool:
        self._end(uid)
        child = self._observed.lose(kind, namespace, name, uid)
        if child is None:
            return False
        self._applier.forget(kind, namespace, name)
        self._due(child.key, SETTLE_S)
        for other in self._runners_beside(child):
            self._due(other, SETTLE_S)
        return True

    def _end(self, uid: str) -> None:
        if self._is_syncing:
            self._gone.add(uid)

    def _runners_beside(self, child: Child) -> set[StreamKey]:
        """Who may be waiting for the symbols of this child: those that own them."""
        owners = {self._claims.owner(symbol) for symbol in symbols_of(child)}
        return {owner for owner in owners if owner is not None and owner != child.key}

    async def first_sync(self) -> None:
        """Looks at everything for the first time: the watches may not have told all yet. Raises ApiError."""
        with self._noting_ends():
            await self._sync(0)

    async def resync(self) -> int:
        """Looks at everything, gives the watches a little time to tell the same, and takes over what they have not
        told. Returns how many changes that were. Raises ApiError."""
        with self._noting_ends():
            missed = await self._sync(WATCH_LAG_S)
        for kind, changes in missed.items():
            metrics.WATCH_MISSED.labels(kind.plural).inc(changes)
        if total := sum(missed.values()):
            log.warning("a look at everything has found changes that no watch has told of", changes=total)
        return total

    @contextlib.contextmanager
    def _noting_ends(self) -> Iterator[None]:
        self._is_syncing = True
        try:
            yield
        finally:
            self._is_syncing = False
            self._gone.clear()

    async def _sync(self, lag_s: float) -> Counter[Kind]:
        known = {kind: list(self._observed.all(kind)) for kind in self._kinds}
        known_streams = list(self._observed.streams.values())
        streams, children, refusals = await self._lister.list_all()
        self._note(refusals)
        await asyncio.sleep(lag_s)
        missed = Counter[Kind]()
        for stream in streams:
            missed[MARKET_STREAM] += stream.uid not in self._gone and self._see_stream(stream)
        listed = {stream.uid for stream in streams}
        for stream in known_streams:
            if stream.uid not in listed and stream.key.namespace not in refusals:
                missed[MARKET_STREAM] += self._lose_stream(stream)
        for kind in self._kinds:
            lasting = [child for child in known[kind] if child.key.namespace not in refusals]
            missed[kind] += self._take_over(kind, lasting, children[kind])
        for stream in self._observed.streams.values():
            self._claim(stream)  # what a stream runs may have been seen after the stream itself
        self._refused = set(refusals)  # only now is what came back known
        return missed

    def _take_over(self, kind: Kind, known: Iterable[Child], listed: Iterable[Child]) -> int:
        """What was listed, and the end of what was known before and was not listed."""
        missed, there = 0, set[str]()
        for child in listed:
            there.add(child.uid)
            concerned = self._observed.see(kind, child) if child.uid not in self._gone else set()
            missed += bool(concerned)
            for key in concerned:
                self._due(key, 0)
        for child in known:
            if child.uid not in there:
                missed += self._lose(kind, child.key.namespace, child.name, child.uid)
        return missed

    def _note(self, refusals: Mapping[str, ApiError]) -> None:
        """Says which namespaces are refused, and which are no more, when that turns."""
        for namespace in refusals.keys() - self._refused:
            log.warning(
                "this namespace cannot be looked at, and what is in it is left alone: grant the operator its role "
                "there, or take the namespace out of WATCH_NAMESPACES",
                namespace=namespace, error=str(refusals[namespace]),
            )  # fmt: skip
        for namespace in self._refused - refusals.keys():
            log.info("this namespace can be looked at again", namespace=namespace)
        self._refused |= refusals.keys()
