"""Keeps a connection for the symbols of one shard (up to 1,024), for ever.

A connection that will end is replaced before it does: its successor is opened and subscribed, both are read for a
while, then the old one is closed. Trades that both bring are duplicates, which ids tell. A connection that was lost is
followed by a new one, and what happened in between is a hole in the ids, which the history fills.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, Final

from marketstream.backoff import delays
from marketstream.exchanges.binance import metrics
from marketstream.exchanges.binance.connection import Connection
from marketstream.exchanges.binance.inbox import Inbox
from marketstream.exchanges.binance.timing import Timing
from marketstream.exchanges.errors import ConnectionFailedError
from marketstream.telemetry import logger

log = logger(__name__)

_AGE_SPREAD: Final = 0.02
"""Part of its age by which a connection is replaced earlier, at random, so that shards do not all do it at once."""


class Shard:
    """`open_connection` opens one for `symbols`; it raises ConnectionFailedError."""

    def __init__(
        self,
        symbols: Sequence[str],
        open_connection: Callable[[Sequence[str]], Awaitable[Connection]],
        timing: Timing,
        rng: Random,
    ) -> None:
        self.symbols = symbols
        self.current: Connection | None = None
        """The connection that carries the symbols. Its clock is the symbols' clock."""
        self._connections: list[Connection] = []
        self._open = open_connection
        self._timing = timing
        self._rng = rng
        self._silent = asyncio.Event()
        self._waits = delays(timing.first_retry_s, timing.most_retry_s, rng)

    @property
    def inboxes(self) -> list[Inbox]:
        """Those of all connections that are being read."""
        return [connection.inbox for connection in self._connections]

    @property
    def heard_at_s(self) -> float:
        """When anything last came on one of its connections, by the monotonic clock; 0 when there is none."""
        return max((connection.heard_at_s for connection in self._connections), default=0.0)

    def replace(self) -> None:
        """Asks for a new connection, because this one has silently lost a symbol."""
        self._silent.set()

    async def run(self) -> None:
        """Never ends; leaves nothing open when cancelled."""
        try:
            self.current = await self._connect("start")
            while True:
                opened_at = time.monotonic()
                reason = await self._until_replaced(self.current)
                if reason == "closed" and time.monotonic() - opened_at < self._timing.steady_s:
                    await asyncio.sleep(next(self._waits))
                else:
                    self._waits = delays(self._timing.first_retry_s, self._timing.most_retry_s, self._rng)
                await self._succeed(self.current, reason)
        finally:
            await asyncio.gather(*(connection.close() for connection in self._connections))

    async def _succeed(self, old: Connection, reason: str) -> None:
        """Has a successor take over; the old connection is read on meanwhile, if it still lives."""
        while True:
            successor = await self._connect(reason)
            self._silent.clear()
            if not old.ended.done():
                await asyncio.wait(
                    [old.ended, successor.ended],
                    timeout=self._timing.overlap_s,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            if old.ended.done() or not successor.ended.done():
                break
            await asyncio.sleep(next(self._waits))  # it was stillborn: the old one is better than none
        await old.close()
        self.current = successor

    async def _connect(self, reason: str) -> Connection:
        while True:
            try:
                connection = await self._open(self.symbols)
            except ConnectionFailedError as error:
                delay = next(self._waits)
                metrics.CONNECT_FAILURES.inc()
                log.warning("no connection to Binance", error=str(error), retry_s=round(delay, 2))
                await asyncio.sleep(delay)
            else:
                metrics.CONNECTIONS.labels(reason).inc()
                log.info("connected to Binance", reason=reason, symbols=len(self.symbols))
                self._connections.append(connection)
                return connection

    async def _until_replaced(self, connection: Connection) -> str:
        """Waits until the connection ends or is to be replaced, and says why."""
        age_s = self._timing.age_s * (1 - _AGE_SPREAD * self._rng.random())
        signs: dict[asyncio.Future[Any], str] = {
            asyncio.ensure_future(connection.shutdown.wait()): "shutdown",
            asyncio.ensure_future(self._silent.wait()): "silence",
            asyncio.ensure_future(asyncio.sleep(age_s)): "age",
        }
        try:
            watched: list[asyncio.Future[Any]] = [connection.ended, *signs]
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            if connection.ended.done():
                log.warning("a connection to Binance ended", why=connection.ended.result())
                return "closed"
            return next(why for sign, why in signs.items() if sign.done())
        finally:
            for sign in signs:
                sign.cancel()
            await asyncio.gather(*signs, return_exceptions=True)

    def forget_ended(self) -> None:
        """Lets go of connections that have ended; call it after their inboxes have been taken."""
        self._connections = [connection for connection in self._connections if not connection.ended.done()]
