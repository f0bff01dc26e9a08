"""Rows of the tables: converted from a commit for the statements, and back from query results."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, Self

import asyncpg

from marketstream.market.candle import Candle
from marketstream.market.counted import Run
from marketstream.market.number import to_text
from marketstream.market.progress import ClosedCandle, Commit, Progress
from marketstream.market.verdict import Verdict
from marketstream.market.window import WINDOW_S, start_s

Key = tuple[str, str]
"""Exchange and symbol."""


class StoredCandle(NamedTuple):
    """A row of candles_10s. `window_start` is in Unix seconds; `close_time`, the time of its last trade, in Unix µs.

    In a window without trades `close_time` and `close_id` are those of the last trade before it.
    """

    exchange: str
    symbol: str
    window_start: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    taker_buy_volume: Decimal
    trade_count: int
    first_trade_id: int
    last_trade_id: int
    complete: bool
    incomplete_reason: str | None
    revision: int
    close_time: int
    close_id: int

    @classmethod
    def of(cls, row: asyncpg.Record | Mapping[str, Any]) -> Self:
        """Return the candle of a row, which may have more columns."""
        return cls(**{name: row[name] for name in cls._fields})


def candle_row(key: Key, closed: ClosedCandle) -> tuple[Any, ...]:
    """Return the row of a closed candle, in the form that MERGE takes."""
    candle: Candle = closed.candle
    price_scale, quantity_scale = candle.price_scale, candle.quantity_scale
    return (
        *key, start_s(candle.window),
        to_text(candle.open, price_scale), to_text(candle.high, price_scale),
        to_text(candle.low, price_scale), to_text(candle.close, price_scale),
        to_text(candle.volume, quantity_scale), to_text(candle.quote_volume, price_scale + quantity_scale),
        to_text(candle.taker_buy_volume, quantity_scale),
        candle.open_time, candle.open_id, candle.close_time, candle.close_id,
        candle.trade_count, candle.first_id, candle.last_id, closed.reason,
    )  # fmt: skip


def verdict_row(key: Key, verdict: Verdict) -> tuple[Any, ...]:
    """Return the row of a verdict, in the form that JUDGE and PROVE_EMPTY take."""
    return (*key, start_s(verdict.first), start_s(verdict.last), verdict.reason, verdict.low_id, verdict.high_id)


def progress_row(key: Key, fence: int, number: int, commit: Commit) -> tuple[Any, ...]:
    """Return the row of the table progress after the commit with this number, in the form that GUARD takes."""
    progress = commit.progress
    return (
        *key, fence, number, progress.resume_offset, progress.position, start_s(progress.closed_until),
        _multirange((run.low, run.high) for run in progress.counted),
        "{" + ",".join(f"{run.low_time},{run.high_time}" for run in progress.counted) + "}",
        _multirange(progress.unfillable), progress.settled_id, progress.generation, progress.since_us,
        progress.begin_known,
    )  # fmt: skip


def columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Return rows as columns, the form that unnest takes. If there are no rows, return `width` empty columns."""
    transposed = [list(column) for column in zip(*rows, strict=True)]
    return transposed or [[] for _ in range(width)]


def progress_of(row: asyncpg.Record) -> Progress:
    """Return the progress that a row of the table progress holds."""
    times = row["edge_times"]
    return Progress(
        resume_offset=row["resume_offset"],
        position=row["position"],
        closed_until=row["closed_until"] // WINDOW_S,
        # PostgreSQL gives ranges of integers as [lower, upper).
        counted=tuple(
            Run(ids.lower, ids.upper - 1, times[2 * index], times[2 * index + 1])
            for index, ids in enumerate(row["counted"])
        ),
        unfillable=tuple((ids.lower, ids.upper - 1) for ids in row["unfillable"]),
        settled_id=row["settled_id"],
        generation=row["generation"],
        since_us=row["generation_since"],
        begin_known=row["begin_known"],
    )


def _multirange(ranges: Iterable[tuple[int, int]]) -> str:
    return "{" + ",".join(f"[{low},{high}]" for low, high in ranges) + "}"
