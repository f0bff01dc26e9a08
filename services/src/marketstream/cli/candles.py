"""`marketstream candles`: the newest closed candles of a symbol as a table."""

import asyncio
import sys
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from marketstream.cli.addresses import find_settings
from marketstream.market.window import INTERVALS
from marketstream.postgres.connect import close_pool, open_pool
from marketstream.postgres.errors import StoreError
from marketstream.postgres.reader import CandleRow, Followed, StoreReader
from marketstream.settings import Settings
from marketstream.telemetry import configure_logging

WAIT_S: Final = 3
"""Seconds for which a person waits for the database."""

_HEAD: Final = ("window (UTC)", "open", "high", "low", "close", "volume", "trades", "")


class NoCandlesError(StoreError):
    """No processor has followed the symbol."""


def run_candles(given: Namespace) -> int:
    """Prints the candles."""
    settings = find_settings("database_url", given.data)
    configure_logging("error")  # the attempts to connect are of no interest, their end is
    candles = asyncio.run(_read(settings, given))
    if given.json:
        sys.stdout.buffer.write(msgspec.json.encode(candles) + b"\n")
        sys.stdout.flush()
    else:
        print(table(candles), flush=True)
    return 0


async def _read(settings: Settings, given: Namespace) -> list[CandleRow]:
    pool = await open_pool(settings, size=1, wait_s=WAIT_S)
    try:
        reader = StoreReader(pool)
        exchange, symbol = choose(await reader.symbols(), given.symbol, given.exchange, settings.default_exchange)
        return await reader.candles(exchange, symbol, INTERVALS[given.interval], None, None, given.limit)
    finally:
        await close_pool(pool)


def choose(followed: Sequence[Followed], symbol: str, exchange: str | None, default_exchange: str) -> tuple[str, str]:
    """The exchange and symbol that are meant. Raises NoCandlesError, which says what there is."""
    named = {row.exchange: row.symbol for row in followed if row.symbol.upper() == symbol.upper()}
    wanted = exchange or (default_exchange if default_exchange in named or len(named) != 1 else next(iter(named)))
    if wanted in named:
        return wanted, named[wanted]
    known = ", ".join(f"{row.symbol} on {row.exchange}" for row in followed) or "no symbol yet"
    raise NoCandlesError(f"there are no candles of {symbol} on {wanted}: known are {known}")


def table(candles: Sequence[CandleRow]) -> str:
    """Aligned columns, the points of a column's numbers below each other; a candle that is not complete ends with its
    reason."""
    if not candles:
        return "no candles yet"
    prices = [_aligned([getattr(candle, name) for candle in candles]) for name in ("open", "high", "low", "close")]
    columns = [
        [_utc(candle.window_start) for candle in candles],
        *prices,
        _aligned([candle.volume for candle in candles]),
        [str(candle.trade_count) for candle in candles],
        ["" if candle.complete else f"! {candle.incomplete_reason}" for candle in candles],
    ]
    widths = [max(map(len, (head, *column))) for head, column in zip(_HEAD, columns, strict=True)]
    rows = [_HEAD, *zip(*columns, strict=True)]
    return "\n".join(_row(row, widths) for row in rows)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    numbers = (cell.rjust(width) for cell, width in zip(cells[:-1], widths, strict=False))
    return "  ".join((*numbers, cells[-1])).rstrip()


def _aligned(numbers: Sequence[str]) -> list[str]:
    """Decimal texts with as many digits after the point as the longest of them."""
    digits = max(len(number.partition(".")[2]) for number in numbers)
    return [f"{whole}.{part:0<{digits}}" if digits else whole for whole, _, part in (n.partition(".") for n in numbers)]


def _utc(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
