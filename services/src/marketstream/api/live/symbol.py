"""The live state of one symbol in this process, and the subscriptions of its clients."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from marketstream.api.freshness import state_of
from marketstream.api.live.ladder import Ladder, levels
from marketstream.api.live.messages import KEPT, Freshness, LastPrice
from marketstream.api.live.subscription import Subscription
from marketstream.backoff import delays
from marketstream.market.window import Interval
from marketstream.postgres.errors import StoreError
from marketstream.postgres.reader import CandleRow, StoreReader
from marketstream.redis.errors import LiveStoreError
from marketstream.redis.frames import MOST_TRADES, Frame, FrameTrade
from marketstream.redis.hashes import LiveStatus
from marketstream.redis.reader import Live, LiveReader
from marketstream.telemetry import logger

log = logger(__name__)

MOST_READ: Final = 1000
"""Maximum number of closed candles read for one correction: the newest. GET /candles has the others."""


class HubState:
    """State that all symbols share. `problem` says why no frames are received, or is None."""

    def __init__(self, store_reader: StoreReader, live_reader: LiveReader, clock: Callable[[], float]) -> None:
        self.store_reader: Final = store_reader
        self.live_reader: Final = live_reader
        self.clock: Final = clock
        self.epoch = ""
        self.problem: str | None = "not connected yet"


class LiveSymbol:
    """Receiver of the frames of one symbol, which passes their changes on to its subscriptions."""

    def __init__(self, exchange: str, symbol: str, hub: HubState) -> None:
        self.name: Final = exchange, symbol
        self.problem = hub.problem
        """Reason why frames of the symbol were missed, until everything was read again; None otherwise."""
        self._hub = hub
        self._subscriptions: dict[str, Subscription] = {}
        self._ladder = Ladder(exchange, symbol)
        self._price: LastPrice | None = None
        self._status = LiveStatus()
        self._recent: deque[FrameTrade] = deque(maxlen=MOST_TRADES)
        self._fresh: deque[FrameTrade] = deque(maxlen=MOST_TRADES)
        self._received_us: int | None = None
        self._changed: set[int] = set()
        self._correcting: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()

    def take(self, frame: Frame) -> None:
        """Apply a frame, which `flush` sends. Raises LiveStoreContentError for an invalid frame, before any change."""
        candle, status = frame.open_candle(), frame.live_status()
        self._status = status
        if frame.price is not None:
            self._price = LastPrice(frame.price.price, float(frame.price.time), frame.price.id)
        if candle is not None:
            self._ladder.move(candle)
        if frame.received_us is not None:
            self._received_us = frame.received_us
        self._recent.extend(frame.trades)
        self._fresh.extend(frame.trades)
        if frame.changed and self._subscriptions:
            self._changed.update(frame.changed)
            if self._correcting is None or self._correcting.done():
                self._correcting = asyncio.create_task(self._correct(), name=f"correct {self.name[1]}")

    def flush(self) -> None:
        """Send every subscription its changes."""
        if not self._subscriptions:
            self._fresh.clear()
            return
        candles = self._ladder.open_candles([each.interval for each in self._subscriptions.values()])
        trades = list(self._fresh)
        self._fresh.clear()
        freshness = self._shown()
        for name, subscription in self._subscriptions.items():
            subscription.update(
                self._received_us,
                price=self._price, candle=candles.get(name), trades=trades, freshness=freshness,
            )  # fmt: skip

    async def follow(self, interval: Interval) -> Subscription:
        """Return the subscription of an interval, ready for snapshots. It lasts until `forget` finds no followers.

        Raises StoreError when its candles cannot be read.
        """
        async with self._reading:
            if interval.name not in self._subscriptions:
                await self._hold(interval)
                self._apply_live(await self._read_live())
                self._subscriptions[interval.name] = Subscription(*self.name, interval, self._hub.epoch)
        return self._subscriptions[interval.name]

    def forget(self) -> None:
        """Remove subscriptions without followers, and the candles that were held for them."""
        if self._reading.locked():
            return  # candles are being read for a new follower; the next call removes the rest
        self._subscriptions = {name: each for name, each in self._subscriptions.items() if each.followers}
        self._ladder.release(each.interval for each in self._subscriptions.values())

    def snapshot(self, subscription: Subscription, limit: int) -> bytes:
        """Return a frame with the whole state of one subscription of this symbol."""
        self.flush()
        open_candle = self._ladder.open_candles([subscription.interval]).get(subscription.interval.name)
        return subscription.snapshot(
            self._received_us, limit,
            candles=self._ladder.closed(subscription.interval), candle=open_candle, price=self._price,
            trades=self._recent, freshness=self._shown(),
        )  # fmt: skip

    async def restart(self) -> list[Subscription]:
        """Read everything again in a new epoch, after frames were missed.

        Returns the subscriptions, which need new snapshots. Raises StoreError.
        """
        async with self._reading:
            read_live = await self._read_live()
            read = {interval: await self._read(interval, None, None, KEPT) for interval in self._ladder.held}
            # No await from here on: until now clients get the old state, afterwards the new one, and never a mixture.
            self.problem = self._hub.problem
            self._price, self._status, self._received_us = None, LiveStatus(), None
            self._ladder.move(None)
            self._apply_live(read_live)
            for interval, candles in read.items():
                self._ladder.hold(interval, candles)
            for subscription in self._subscriptions.values():
                subscription.restart(self._hub.epoch)
            return list(self._subscriptions.values())

    def _shown(self) -> Freshness:
        status, problem = self._status, self.problem
        return Freshness(
            state="disconnected" if problem else state_of(self.name[0], status, self._hub.clock()),
            detail=f"disconnected from live data: {problem}" if problem else None,
            complete_from=status.complete_from,
            complete_until=status.complete_until,
            open_holes=status.open_holes,
        )

    async def _hold(self, interval: Interval) -> None:
        held = self._ladder.held
        for level in levels(interval):
            if level not in held:
                self._ladder.hold(level, await self._read(level, None, None, KEPT))

    async def _read_live(self) -> Live | None:
        """Return the live state in Redis, or None if Redis cannot be read; the next frames bring it then."""
        try:
            (live,) = await self._hub.live_reader.live([self.name])
        except LiveStoreError as error:
            log.debug("live state not read", symbol=self.name[1], error=str(error))
            return None
        return live

    def _apply_live(self, live: Live | None) -> None:
        """Apply the live state that was read from Redis, unless a frame has been applied already."""
        if live is None or (status := live.status) is None:
            return
        if self._price is None and status.price and status.price_time is not None and status.price_id is not None:
            self._price = LastPrice(status.price, status.price_time, status.price_id)
            self._status = status
            self._ladder.move(live.current_candle)

    async def _correct(self) -> None:
        """Read all closed candles that have changed, once for all subscriptions."""
        waits = delays(0.1, 2.0)
        while self._changed:
            starts, self._changed = self._changed, set()
            try:
                async with self._reading:
                    for interval in self._ladder.held:
                        await self._correct_level(interval, starts)
            except StoreError as error:
                log.warning("corrected candles not read, will retry", symbol=self.name[1], error=str(error))
                self._changed |= starts
                await asyncio.sleep(next(waits))

    async def _correct_level(self, interval: Interval, starts: set[int]) -> None:
        affected = {interval.start_of(start) for start in starts}
        candles = await self._read(interval, min(affected), max(affected) + interval.seconds, MOST_READ)
        corrected = [candle for candle in candles if candle.window_start in affected]
        # A longer window may close by time alone, without a new trade. So newer candles are read as well.
        if held := self._ladder.closed(interval):
            newer = max(held[-1].window_start, *affected) + interval.seconds
            corrected += await self._read(interval, newer, None, MOST_READ)
        new = self._ladder.correct(interval, corrected)
        if (subscription := self._subscriptions.get(interval.name)) is not None:
            subscription.correct(new)

    async def _read(self, interval: Interval, start: int | None, end: int | None, limit: int) -> list[CandleRow]:
        return await self._hub.store_reader.candles(*self.name, interval, start, end, limit)
