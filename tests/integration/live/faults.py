"""Faults of the exchange. Each function returns once the fault has happened, whatever its effect."""

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
"""Several windows, and long enough for several checks of a quiet symbol."""


async def _frames(server: BinanceServer, kind: Kind) -> None:
    server.faults.add(kind, 40)
    server.faults.add(kind, 20, BUSY)
    await until(lambda: not server.faults.pending)


async def _replaced(server: BinanceServer, do: Callable[[], object]) -> None:
    """Do something that the connection does not survive."""
    opened = server.stream.opened
    do()
    await until(lambda: server.stream.opened > opened)


async def drop(server: BinanceServer) -> None:
    """Drop frames."""
    await _frames(server, "drop")


async def duplicate(server: BinanceServer) -> None:
    """Send frames twice."""
    await _frames(server, "duplicate")


async def reorder(server: BinanceServer) -> None:
    """Send frames after later ones."""
    await _frames(server, "reorder")


async def malformed(server: BinanceServer) -> None:
    """Truncate frames."""
    await _frames(server, "malformed")


async def wrong_types(server: BinanceServer) -> None:
    """Send frames with a text in place of a number, and a number in place of a text."""
    await _frames(server, "wrong_types")


async def silent_death(server: BinanceServer) -> None:
    """Stop sending one symbol on a live connection."""
    await _replaced(server, lambda: server.silence("ETHUSDT"))


async def half_open(server: BinanceServer) -> None:
    """Leave the connection half-open."""
    await _replaced(server, server.half_open)


async def cut_off(server: BinanceServer) -> None:
    """Reset the connection."""
    await _replaced(server, server.abort)


async def going_away(server: BinanceServer) -> None:
    """Close the connection with code 1001."""
    opened = server.stream.opened
    await server.close(1001)
    await until(lambda: server.stream.opened > opened)


async def shutdown(server: BinanceServer) -> None:
    """Announce a shutdown, and reset the connection."""
    await _replaced(server, lambda: server.announce_shutdown(0.2))


async def too_many_requests(server: BinanceServer) -> None:
    """Answer with 429 while trades are missing."""
    server.limits.refuse(2.0)
    await drop(server)


async def banned(server: BinanceServer) -> None:
    """Answer with 418 while trades are missing."""
    server.limits.ban(2.0)
    await drop(server)


async def internal_errors(server: BinanceServer) -> None:
    """Answer with 500 while trades are missing."""
    server.rest.failures = 4
    await drop(server)


async def clock_ahead(server: BinanceServer) -> None:
    """Report times that are in the future."""
    await _wrong_clock(server, WRONG_CLOCK_US)


async def clock_behind(server: BinanceServer) -> None:
    """Report times that are long past."""
    await _wrong_clock(server, -WRONG_CLOCK_US)


async def _wrong_clock(server: BinanceServer, offset_us: int) -> None:
    server.clock.offset_us = offset_us
    await asyncio.sleep(WRONG_FOR_S)  # the duration of the error
    server.clock.offset_us = 0


async def down(server: BinanceServer) -> None:
    """Be unreachable for some windows."""
    opened = server.stream.opened
    await server.stop()
    await asyncio.sleep(3)  # the duration of the outage
    await server.start()
    await until(lambda: server.stream.opened > opened)


LOSING: Final = (
    drop, malformed, wrong_types, silent_death, half_open, too_many_requests, banned, internal_errors, down,
)  # fmt: skip
"""The faults after which only the history has some trades."""

OTHERS: Final = (duplicate, reorder, cut_off, going_away, shutdown, clock_ahead, clock_behind)
