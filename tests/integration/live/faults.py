"""What goes wrong at the exchange, each until it has happened; what is to become of it is not known here."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tests.harness.binance.faults import Kind
from tests.harness.binance.listener import until
from tests.harness.binance.server import BinanceServer
from tests.integration.live.exchange import BUSY

Fault = Callable[[BinanceServer], Awaitable[None]]

WRONG_CLOCK_US: Final = 5_000_000
WRONG_FOR_S: Final = 3.0
"""Several windows, and often enough to ask whether a quiet symbol is quiet."""


async def _frames(server: BinanceServer, kind: Kind) -> None:
    server.faults.add(kind, 40)
    server.faults.add(kind, 20, BUSY)
    await until(lambda: not server.faults.pending)


async def _replaced(server: BinanceServer, do: Callable[[], object]) -> None:
    """Does something that the connection does not survive."""
    opened = server.stream.opened
    do()
    await until(lambda: server.stream.opened > opened)


async def drop(server: BinanceServer) -> None:
    """Frames that never come."""
    await _frames(server, "drop")


async def duplicate(server: BinanceServer) -> None:
    """Frames that come twice."""
    await _frames(server, "duplicate")


async def reorder(server: BinanceServer) -> None:
    """Frames that come after later ones."""
    await _frames(server, "reorder")


async def malformed(server: BinanceServer) -> None:
    """Frames that are cut off."""
    await _frames(server, "malformed")


async def wrong_types(server: BinanceServer) -> None:
    """Frames with a text for a number and a number for a text."""
    await _frames(server, "wrong_types")


async def silent_death(server: BinanceServer) -> None:
    """A symbol that comes no more, on a connection that lives."""
    await _replaced(server, lambda: server.silence("ETHUSDT"))


async def half_open(server: BinanceServer) -> None:
    """A connection of which the other end is gone without a word."""
    await _replaced(server, server.half_open)


async def cut_off(server: BinanceServer) -> None:
    """A connection that is reset."""
    await _replaced(server, server.abort)


async def going_away(server: BinanceServer) -> None:
    """A connection that is closed with 1001."""
    opened = server.stream.opened
    await server.close(1001)
    await until(lambda: server.stream.opened > opened)


async def shutdown(server: BinanceServer) -> None:
    """A server that says that it goes, and does."""
    await _replaced(server, lambda: server.announce_shutdown(0.2))


async def too_many_requests(server: BinanceServer) -> None:
    """429 while there is something to ask for."""
    server.limits.refuse(2.0)
    await drop(server)


async def banned(server: BinanceServer) -> None:
    """418 while there is something to ask for."""
    server.limits.ban(2.0)
    await drop(server)


async def internal_errors(server: BinanceServer) -> None:
    """500 while there is something to ask for."""
    server.rest.failures = 4
    await drop(server)


async def clock_ahead(server: BinanceServer) -> None:
    """An exchange that tells times before they have come."""
    await _wrong_clock(server, WRONG_CLOCK_US)


async def clock_behind(server: BinanceServer) -> None:
    """An exchange that tells times that have long passed."""
    await _wrong_clock(server, -WRONG_CLOCK_US)


async def _wrong_clock(server: BinanceServer, offset_us: int) -> None:
    server.clock.offset_us = offset_us
    await asyncio.sleep(WRONG_FOR_S)  # the time for which it is wrong
    server.clock.offset_us = 0


async def down(server: BinanceServer) -> None:
    """Nothing there for some windows."""
    opened = server.stream.opened
    await server.stop()
    await asyncio.sleep(3)  # the time for which it is down
    await server.start()
    await until(lambda: server.stream.opened > opened)


LOSING: Final = (
    drop, malformed, wrong_types, silent_death, half_open, too_many_requests, banned, internal_errors, down,
)  # fmt: skip
"""Those after which trades are missing that only the history has."""

OTHERS: Final = (duplicate, reorder, cut_off, going_away, shutdown, clock_ahead, clock_behind)
