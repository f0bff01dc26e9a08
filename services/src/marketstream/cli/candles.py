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
"""Time to wait for the database, in seconds."""

_HEAD: Final = ("window (UTC)", "open", "high", "low", "close", "volume", "trades", "")


class NoCandlesError(StoreError):
    """No processor has stored candles of the symbol."""


def run_candles(given: Namespace) -> int:
    """Print the candles."""
    settings = find_settings("database_url", given.data)
    configure_logging("error")  # failed attempts to connect are retried; only the final error matters
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
    """Return the exchange and the symbol that the arguments mean.

    Without `exchange`, that is `default_exchange`, or the only exchange that has the symbol.

    Raises NoCandlesError, which lists the stored symbols.
    """
    named = {row.exchange: row.symbol for row in followed if row.symbol.upper() == symbol.upper()}
    wanted = exchange or (default_exchange if default_exchange in named or len(named) != 1 else next(iter(named)))
    if wanted in named:
        return wanted, named[wanted]
    known = ", ".join(f"{row.symbol} on {row.exchange}" for row in followed) or "none yet"
    raise NoCandlesError(f"no candles of {symbol} on {wanted}; stored symbols: {known}")


def table(candles: Sequence[CandleRow]) -> str:
    """Return the candles as aligned columns, with the decimal points of each column aligned.

    The row of an incomplete candle ends with the reason.
    """
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
    """Return the decimal texts padded to the same number of digits after the point."""
    digits = max(len(number.partition(".")[2]) for number in numbers)
    return [f"{whole}.{part:0<{digits}}" if digits else whole for whole, _, part in (n.partition(".") for n in numbers)]


def _utc(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
