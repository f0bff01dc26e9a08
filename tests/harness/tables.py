"""The content of the tables, in the form of tests/harness/model.py."""

from typing import Any

import asyncpg
from marketstream.market.progress import Progress
from marketstream.market.window import INTERVALS, ROLLUPS, Interval
from marketstream.postgres.writer import SymbolKey

from tests.harness.model import Row, reference_rollup

COLUMNS = ", ".join(Row.__dataclass_fields__)


def row_of(record: Any) -> Row:
    """Convert a record of a candle table."""
    return Row(**{column: record[column] for column in Row.__dataclass_fields__})


async def stored_rows(connection: Any, key: SymbolKey, interval: Interval = INTERVALS["10s"]) -> dict[int, Row]:
    """Return the candles of a symbol, by window start in Unix seconds."""
    records: list[asyncpg.Record] = await connection.fetch(
        f"SELECT {COLUMNS} FROM {interval.table} WHERE (exchange, symbol) = ($1, $2)",
        *key,
    )
    return {record["window_start"]: row_of(record) for record in records}


async def stored_reasons(connection: Any, key: SymbolKey) -> dict[int, str | None]:
    """Return the reason why each window of 10 seconds is incomplete, by window start in Unix seconds."""
    records = await connection.fetch(
        "SELECT window_start, incomplete_reason FROM candles_10s WHERE (exchange, symbol) = ($1, $2)", *key
    )
    return {record["window_start"]: record["incomplete_reason"] for record in records}


async def assert_rollups_follow(connection: Any, key: SymbolKey, rows: dict[int, Row]) -> None:
    """Assert that every table of longer candles is exactly the rollup of `rows`, the candles of 10 seconds."""
    for interval in ROLLUPS:
        rows = reference_rollup(rows, interval, INTERVALS[interval.children or ""].seconds)
        assert await stored_rows(connection, key, interval) == rows, interval.name


def account(progress: Progress) -> tuple[Any, ...]:
    """Return the progress as a comparable value."""
    runs = tuple((run.low, run.high, run.low_time, run.high_time) for run in progress.counted)
    offsets = progress.resume_offset, progress.position, progress.closed_until
    generation = progress.generation, progress.since_us, progress.begin_known
    return (*offsets, runs, progress.unfillable, progress.settled_id, *generation)
