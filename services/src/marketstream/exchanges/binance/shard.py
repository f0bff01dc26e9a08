"""Keep a connection open for the symbols of one shard (up to 1,024) at all times.

A connection that is about to end is replaced in advance: its successor is opened and subscribed, both are read for a
while, then the old one is closed. Trades from both are duplicates, recognized by their ids. A lost connection is
followed by a new one, and the trades in between are a hole in the ids, which the history fills.
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
"""Maximum random reduction of a connection's age, as a fraction, so that not all shards reconnect at once."""


class Shard:
    """Keeps a connection for `symbols`. `open_connection` opens one, or raises ConnectionFailedError."""

    def __init__(
        self,
        symbols: Sequence[str],
        open_connection: Callable[[Sequence[str]], Awaitable[Connection]],
        timing: Timing,
        rng: Random,
    ) -> None:
        self.symbols = symbols
        self.current: Connection | None = None
        """The connection that carries the symbols. Its clock is the clock of the symbols."""
        self._connections: list[Connection] = []
        self._open = open_connection
        self._timing = timing
        self._rng = rng
        self._silent = asyncio.Event()
        self._waits = delays(timing.first_retry_s, timing.most_retry_s, rng)

    @property
    def is_open(self) -> bool:
        """True if a connection carries the symbols."""
        return self.current is not None and not self.current.ended.done()

    @property
    def inboxes(self) -> list[Inbox]:
        """The inboxes of all connections that are being read."""
        return [connection.inbox for connection in self._connections]

    @property
    def received_at_s(self) -> float:
        """The monotonic time at which anything last arrived on a connection; 0 without a connection."""
        return max((connection.received_at_s for connection in self._connections), default=0.0)

    def replace(self) -> None:
        """Request a new connection, because the current one has silently lost a symbol."""
        self._silent.set()

    async def run(self) -> None:
        """Keep a connection until cancelled, then close all connections."""
        try:
            self.current = await self._connect("start")
            while True:
                opened_at = time.monotonic()
                reason = await self._until_replaced(self.current)
                if reason == "closed" and time.monotonic() - opened_at < self._timing.steady_s:
                    await asyncio.sleep(next(self._waits))
                else:
                    self._waits = delays(self._timing.first_retry_s, self._timing.most_retry_s, self._rng)
                await self._replace_connection(self.current, reason)
        finally:
            await asyncio.gather(*(connection.close() for connection in self._connections))

    async def _replace_connection(self, old: Connection, reason: str) -> None:
        """Replace `old` by a successor. Meanwhile, `old` is still read if it is alive."""
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
            await asyncio.sleep(next(self._waits))  # the successor ended at once: keep the old one
        await old.close()
        self.current = successor

    async def _connect(self, reason: str) -> Connection:
        while True:
            try:
                connection = await self._open(self.symbols)
            except ConnectionFailedError as error:
                delay = next(self._waits)
                metrics.CONNECT_FAILURES.inc()
                log.warning("connection to Binance failed, will retry", error=str(error), retry_s=round(delay, 2))
                await asyncio.sleep(delay)
            else:
                metrics.CONNECTIONS.labels(reason).inc()
                log.info("connected to Binance", reason=reason, symbols=len(self.symbols))
                self._connections.append(connection)
                return connection

    async def _until_replaced(self, connection: Connection) -> str:
        """Wait until the connection ends or must be replaced, and return the reason."""
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
                log.warning("connection to Binance ended", reason=connection.ended.result())
                return "closed"
            return next(reason for sign, reason in signs.items() if sign.done())
        finally:
            for sign in signs:
                sign.cancel()
            await asyncio.gather(*signs, return_exceptions=True)

    def forget_ended(self) -> None:
        """Drop the connections that have ended. Call this after taking the trades of their inboxes."""
        self._connections = [connection for connection in self._connections if not connection.ended.done()]
