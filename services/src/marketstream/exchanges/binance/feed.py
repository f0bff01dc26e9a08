"""The live feed: shards of symbols, each on its own connection, merged into one stream of events."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from random import Random
from typing import Final

from marketstream.exchanges.base import ClockAdvanced, ConnectionAlive, ConnectionChanged, FeedEvent
from marketstream.exchanges.binance.connection import MOST_STREAMS, Connection
from marketstream.exchanges.binance.inbox import MOST_TRADES, Inbox
from marketstream.exchanges.binance.scales import Scales
from marketstream.exchanges.binance.shard import Shard
from marketstream.exchanges.binance.timing import Timing
from marketstream.exchanges.binance.watchdog import NewestIds, Watchdog
from marketstream.exchanges.clock import Now, now_us
from marketstream.exchanges.errors import ConnectionFailedError, FeedError
from marketstream.exchanges.refusals import Refusals
from marketstream.redis.budget import Budget, BudgetSpentError

CLOCK_SAFETY_US: Final = 250_000
"""Delay of a ClockAdvanced event behind the latest event time received on the symbol's connection, in µs.

Binance promises order within a stream only: when an event of one symbol has arrived, an event of another symbol with
the same time may still be on its way.
"""


class BinanceFeed:
    """One subscription to the live feed of `symbols`. `scales` has the scales of every symbol.

    `attempts` is the budget of attempts to connect, which all processes behind one IP address share.
    """

    def __init__(
        self,
        url: str,
        symbols: Sequence[str],
        scales: Mapping[str, Scales],
        newest_ids: NewestIds,
        timing: Timing,
        *,
        attempts: Budget,
        now: Now = now_us,
        rng: Random | None = None,
        most_trades: int = MOST_TRADES,
    ) -> None:
        self._url = url
        self._scales = scales
        self._timing = timing
        self._now = now
        self._most_trades = most_trades
        self._refuse = Refusals()
        self._attempts = attempts
        self._wake = asyncio.Event()
        rng = rng or Random()
        self._shards = [
            Shard(symbols[start : start + MOST_STREAMS], self._open, timing, rng)
            for start in range(0, len(symbols), MOST_STREAMS)
        ]
        self._clocks_us: dict[Shard, int] = dict.fromkeys(self._shards, 0)
        self._is_open: dict[Shard, bool | None] = dict.fromkeys(self._shards)
        self._last_sign_s = 0.0
        self._clocks_due_s = 0.0
        self._watchdog = Watchdog(symbols, newest_ids, self._replace, timing)

    async def events(self) -> AsyncGenerator[FeedEvent, None]:
        """Yield the events until the caller closes the feed. Lost connections are always reopened.

        Raises FeedError only after an unexpected error, that is, a bug.
        """
        works = [self._watchdog.run(), *(shard.run() for shard in self._shards)]
        tasks = [asyncio.create_task(work, name="binance-feed") for work in works]
        for task in tasks:
            task.add_done_callback(lambda _: self._wake.set())
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._timing.clock_s):
                        await self._wake.wait()
                self._wake.clear()
                _raise_if_ended(tasks)
                for event in self._take():
                    yield event
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _take(self) -> list[FeedEvent]:
        """Return the trades since the last call, then changed connections, clocks and signs of life.

        The clocks are read after the trades are taken, so that no trade returned later is earlier than its clock.
        """
        events: list[FeedEvent] = []
        for shard in self._shards:
            for inbox in shard.inboxes:
                for received in inbox.take():
                    self._watchdog.observe(received)
                    events.append(received)
            shard.forget_ended()
        if time.monotonic() >= self._clocks_due_s:
            self._clocks_due_s = time.monotonic() + self._timing.clock_s
            events.extend(self._changed_connections())
            events.extend(self._clocks())
            events.extend(self._signs_of_life())
        return events

    def _changed_connections(self) -> Iterator[ConnectionChanged]:
        for shard in self._shards:
            is_open = shard.is_open
            if is_open != self._is_open[shard]:
                self._is_open[shard] = is_open
                for symbol in shard.symbols:
                    yield ConnectionChanged(symbol, is_open)

    def _clocks(self) -> Iterator[ClockAdvanced]:
        for shard in self._shards:
            time_us = shard.current.inbox.clock_us - CLOCK_SAFETY_US if shard.current is not None else 0
            if time_us > self._clocks_us[shard]:
                self._clocks_us[shard] = time_us
                for symbol in shard.symbols:
                    yield ClockAdvanced(symbol, time_us)

    def _signs_of_life(self) -> Iterator[ConnectionAlive]:
        """Yield a sign of life if anything arrived since the last one.

        Without trades there are no clock events either, but the connection still answers pings.
        """
        received_at_s = max((shard.received_at_s for shard in self._shards), default=0.0)
        if received_at_s > self._last_sign_s:
            self._last_sign_s = received_at_s
            yield ConnectionAlive()

    async def _open(self, symbols: Sequence[str]) -> Connection:
        try:
            await self._attempts.acquire(1)
        except BudgetSpentError as error:
            raise ConnectionFailedError(f"too many connections were opened from this address: {error}") from error
        inbox = Inbox(self._scales, self._refuse, self._wake.set, self._most_trades)
        return await Connection.open(self._url, symbols, inbox, self._refuse, self._timing, self._now)

    def _replace(self, silent: Sequence[str]) -> None:
        for shard in self._shards:
            if not set(silent).isdisjoint(shard.symbols):
                shard.replace()


def _raise_if_ended(tasks: Sequence["asyncio.Task[None]"]) -> None:
    for task in tasks:
        if task.done():
            raise FeedError(f"the feed failed unexpectedly: {task.exception()!r}") from task.exception()
