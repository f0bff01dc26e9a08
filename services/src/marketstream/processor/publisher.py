"""Publish the live state of the owned symbols to Redis, collected over a few milliseconds."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from marketstream.backoff import delays
from marketstream.kafka.consumer import Consumer, Offsets
from marketstream.kafka.errors import BrokerUnavailableError
from marketstream.processor import metrics
from marketstream.processor.holdings import Holdings, reclaim_after_s
from marketstream.processor.live import live_state, seconds, take_frame
from marketstream.processor.symbol import OwnedSymbol
from marketstream.redis.errors import LiveStoreUnavailableError
from marketstream.redis.writer import LiveState, LiveWriter, Outcome
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)

REFRESH_S: Final = 1.0
"""Seconds after which the state of a symbol is written again even without a trade.

By then its freshness has changed. The write also shows if Redis has lost the claim of the symbol.
"""

GATES_S: Final = 0.5
"""Maximum seconds for which a write waits for the gates of newly claimed symbols.

Kafka takes longer only if it does not report the offsets of some topic, which must not delay the other symbols.
"""

GATE_RETRY_S: Final = 5.0
"""Seconds after which Kafka is asked again for the offset of a topic that it did not report."""


class _Published:
    """The state of an owned symbol as last published."""

    __slots__ = ("at", "beginnings", "gate", "has_offsets", "is_opening", "muted", "paused_until", "seen")

    def __init__(self) -> None:
        self.gate: int | None = None
        """The offset up to which records must be applied before the first write; None before the claim in Redis."""
        self.is_opening = False
        """True while the gate is being set."""
        self.has_offsets = True
        """False once Kafka did not report the offsets of the topic, so that this is logged once."""
        self.beginnings = 0
        """The symbol's `beginnings` when the gate was set: the gate is void once the topic was recreated."""
        self.muted = False
        """True once Redis has reported a later owner."""
        self.paused_until = 0.0
        """The monotonic time before which nothing is written: Redis has a key of another type, or Kafka no offsets."""
        self.seen: tuple[Any, ...] = ()
        """The values at the last write: if they differ now, the state must be written."""
        self.at = 0.0
        """The monotonic time of the last write."""


class LivePublisher:
    """Publishes the live state of the owned symbols.

    Before it writes the state of a symbol, it claims the symbol in Redis, and then waits until all records that
    the topic held after that claim are applied. The offset after these records is the symbol's gate. An earlier owner
    cannot have shown more than these records, so the published state never goes back.
    """

    def __init__(self, settings: Settings, holdings: Holdings, live: LiveWriter, consumer: Consumer) -> None:
        self._interval_s = settings.publish_ms / 1000
        self._max_age_s = settings.max_age_s
        self._reclaim_s = reclaim_after_s(settings)
        self._holdings = holdings
        self._live = live
        self._consumer = consumer
        self._published: dict[OwnedSymbol, _Published] = {}
        self._opening: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Publish until cancelled."""
        try:
            await self._run()
        finally:
            for task in self._opening:
                task.cancel()

    async def _run(self) -> None:
        waits = delays(0.1, 2.0)
        while True:
            try:
                await self.publish()
                waits = delays(0.1, 2.0)
                wait_s = self._interval_s
            except LiveStoreUnavailableError as error:
                metrics.PUBLISH_FAILURES.inc()
                wait_s = next(waits)
                log.warning("publishing to Redis failed, will retry", error=str(error), retry_s=round(wait_s, 1))
            await asyncio.sleep(wait_s)

    async def publish(self) -> None:
        """Write all changes in one round trip. Raise LiveStoreUnavailableError."""
        owned = list(self._holdings.owned.values())
        self._published = {symbol: self._published.get(symbol) or _Published() for symbol in owned}
        await self._begin_to_open([symbol for symbol in owned if self._is_shut(symbol)])
        states = self._states()
        if not states:
            return
        frames = {symbol: take_frame(symbol, state) for symbol, state in states.items()}
        outcomes: dict[tuple[str, str], Outcome] = {}
        try:
            outcomes = await self._live.write(
                {symbol.key: (symbol.fence, state, frames[symbol]) for symbol, state in states.items()}
            )
        finally:
            for symbol, frame in frames.items():
                if outcomes.get(symbol.key) != "ok":
                    symbol.changed.update(frame.changed)  # still to be published
                    self._published[symbol].seen = ()
        for symbol in states:
            self._handle(symbol, self._published[symbol], outcomes[symbol.key])

    def _handle(self, symbol: OwnedSymbol, published: _Published, outcome: Outcome) -> None:
        if outcome == "lost":
            log.warning("symbol lost in Redis, writing it again", **symbol.key._asdict())
            published.gate = None
        elif outcome == "fenced":
            log.warning("symbol has a later owner in Redis, no longer published here", **symbol.key._asdict())
            metrics.FENCED.labels(*symbol.key).inc()
            published.muted = True
            self._holdings.reclaim_later(symbol, self._reclaim_s)
        elif outcome == "foreign":
            published.paused_until = time.monotonic() + REFRESH_S

    def _is_shut(self, symbol: OwnedSymbol) -> bool:
        """Return True if a gate must be set: at first, and when Redis lost the claim or the topic was recreated."""
        published = self._published[symbol]
        if published.muted or published.is_opening or time.monotonic() < published.paused_until:
            return False
        return published.gate is None or published.beginnings != symbol.beginnings

    async def _begin_to_open(self, symbols: Sequence[OwnedSymbol]) -> None:
        """Set the gates of these symbols, in the background if it takes longer than GATES_S.

        Raise LiveStoreUnavailableError if Redis was unavailable, now or since the last call.
        """
        if symbols:
            opening = asyncio.create_task(self._open_gates(symbols), name="gates")
            self._opening.add(opening)
            for symbol in symbols:
                self._published[symbol].is_opening = True
            await asyncio.wait([opening], timeout=GATES_S)
        ended = {task for task in self._opening if task.done()}
        self._opening -= ended
        await asyncio.gather(*ended)

    async def _open_gates(self, symbols: Sequence[OwnedSymbol]) -> None:
        gates = [(symbol, self._published[symbol], symbol.beginnings) for symbol in symbols]
        try:
            outcomes = await self._live.claim({symbol.key: symbol.fence for symbol in symbols})
            offsets = await self._offsets(symbols)
        finally:
            for _, published, _ in gates:
                published.is_opening = False
        for symbol, published, beginnings in gates:
            self._handle(symbol, published, outcomes[symbol.key])
            if outcomes[symbol.key] == "foreign":
                continue
            if symbol.topic in offsets:
                published.gate, published.beginnings = offsets[symbol.topic].end, beginnings
            else:
                published.paused_until = time.monotonic() + GATE_RETRY_S
                if published.has_offsets:  # not at each attempt: it may last for hours
                    log.warning("offsets not reported, live state delayed", **symbol.key._asdict(), topic=symbol.topic)
            published.has_offsets = symbol.topic in offsets

    async def _offsets(self, symbols: Sequence[OwnedSymbol]) -> dict[str, Offsets]:
        """Return the offsets of the topics, without those that Kafka does not report."""
        try:
            return await self._consumer.offsets([symbol.topic for symbol in symbols])
        except BrokerUnavailableError as error:
            log.debug("offsets for live state not available", error=str(error))
            return {}

    def _states(self) -> dict[OwnedSymbol, LiveState]:
        now = time.monotonic()
        now_s = seconds(time.time_ns() // 1000)
        states = {}
        for symbol, published in self._published.items():
            if published.muted or now < published.paused_until:
                continue
            if published.gate is None or symbol.position < published.gate:
                continue
            if published.is_opening or published.beginnings != symbol.beginnings:
                continue  # the gate is void
            aggregator = symbol.aggregator
            seen = (aggregator.counters.counted, aggregator.heard_us // 1_000_000, symbol.newest_closed)
            if seen == published.seen and now < published.at + REFRESH_S:
                continue
            published.seen, published.at = seen, now
            lag = self._consumer.lag(symbol.topic, symbol.position)
            states[symbol] = live_state(symbol, lag=lag, now_s=now_s, max_age_s=self._max_age_s)
        return states
