"""Observers that check PostgreSQL and Redis all the time, and fail the test at the first violation."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
from marketstream.market.window import INTERVALS, ROLLUPS
from marketstream.postgres.errors import OUTAGES
from marketstream.redis.keys import Keys
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.faults.exchange import NAME, RATES
from tests.faults.truth import Truth
from tests.harness.model import Row, reference_rollup
from tests.harness.tables import COLUMNS, row_of

_PAUSE_S: Final = 0.05


class CandleObserver:
    """Checks that no candle claims to be complete and is not, every 50 ms."""

    def __init__(self, database_url: str, truth: Truth) -> None:
        self._url = database_url
        self._truth = truth
        self._since = 0
        self.checks = self.rows = 0

    async def run(self) -> None:
        """Check the rows written since the last check, until cancelled; wait while PostgreSQL is unavailable."""
        while True:
            try:
                async with self._connected() as connection:
                    while True:
                        await self._check_new(connection)
                        await _pause()
            except OUTAGES:
                await _pause()

    async def check_all(self) -> None:
        """Check all candles: the complete ones are true, and each longer one is the rollup of its children."""
        tables = await self.tables()
        for symbol in RATES:
            for row in tables["10s"][symbol].values():
                self._check(symbol, row)
            for interval in ROLLUPS:
                children = interval.children or ""
                expected = reference_rollup(tables[children][symbol], interval, INTERVALS[children].seconds)
                assert_same(tables[interval.name][symbol], expected, f"{symbol} {interval.name}")
                await asyncio.sleep(0)  # lets the other observers run

    async def tables(self) -> dict[str, dict[str, dict[int, Row]]]:
        """Return all rows of one snapshot, by interval, symbol and window start."""
        async with self._connected() as connection, _snapshot(connection):
            return {
                name: _by_symbol(await connection.fetch(f"SELECT symbol, {COLUMNS} FROM {interval.table}"))
                for name, interval in INTERVALS.items()
            }

    async def _check_new(self, connection: asyncpg.Connection) -> None:
        async with _snapshot(connection):
            # The rows of all transactions that the last check did not see. It saw all transactions below its xmin.
            records = await connection.fetch(
                f"SELECT symbol, {COLUMNS} FROM candles_10s WHERE xmin::text::bigint >= $1",
                self._since,
            )
            self._since = await connection.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        for record in records:
            self._check(record["symbol"], row_of(record))
        self.checks += 1

    def _check(self, symbol: str, row: Row) -> None:
        self.rows += 1
        if row.complete:
            truth = self._truth.row(symbol, row.window_start)
            assert row == truth, f"{symbol}: a candle claims to be complete and is not:\n  {row}\n  expected {truth}"

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self._url, timeout=5, command_timeout=20)
        try:
            yield connection
        finally:
            connection.terminate()


class LiveObserver:
    """Checks that Redis never goes back: in windows, in trades or revision of a window, or in the newest trade's id.

    After Redis has lost its data, keys may be missing for a while, and then are no older than before. After Kafka has
    lost records, their trades cannot be shown again: each key may go back once.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(redis_url, decode_responses=True, socket_timeout=2, socket_connect_timeout=2)
        self._names = [name for symbol in RATES for name in Keys.of(NAME, symbol)[1:]]
        self._seen: dict[str, tuple[int, ...]] = {}
        self._may_be_missing = False
        self._may_go_back: set[str] = set()
        self.checks = 0

    async def run(self) -> None:
        """Check Redis until cancelled; wait while it is unavailable."""
        try:
            while True:
                try:
                    self._check(await self._read())
                    self.checks += 1
                except (RedisError, OSError):
                    pass
                await _pause()
        finally:
            await self._redis.aclose()

    def redis_loses_its_data(self) -> None:
        """Let keys be missing. Call this before Redis loses its data."""
        self._may_be_missing = True

    def kafka_loses_records(self) -> None:
        """Let each key go back once. Call this before Kafka loses records."""
        self._may_go_back = set(self._names)

    def all_is_well(self) -> None:
        """Let no key be missing or go back any more. Call this after the pipeline has recovered."""
        self._may_be_missing = False
        self._may_go_back.clear()

    async def missing(self) -> set[str]:
        """Return the keys that existed before and do not now. Raises RedisError."""
        return self._seen.keys() - (await self._read()).keys()

    async def _read(self) -> dict[str, tuple[int, ...]]:
        """Return the progress of each key that exists."""
        pipeline = self._redis.pipeline(transaction=False)
        for name in self._names:
            pipeline.hgetall(name)
        found = dict(zip(self._names, await pipeline.execute(), strict=True))
        return {name: order_of(name, fields) for name, fields in found.items() if order_of(name, fields)}

    def _check(self, found: dict[str, tuple[int, ...]]) -> None:
        missing = self._seen.keys() - found.keys()
        assert self._may_be_missing or not missing, f"vanished from Redis: {sorted(missing)}"
        for name, now in found.items():
            before = self._seen.get(name, ())
            assert now >= before or name in self._may_go_back, f"{name} went back from {before} to {now}"
            if now < before:
                self._may_go_back.discard(name)
            self._seen[name] = now


def order_of(name: str, fields: dict[str, str]) -> tuple[int, ...]:
    """Return the fields of a hash that must never go back, in the order in which they are compared."""
    if name.startswith("stream:"):
        order: tuple[str, ...] = ("price_id",)
    else:
        order = ("window_start", "trade_count" if name.endswith(":current_candle") else "revision")
    return tuple(int(fields[field]) for field in order if field in fields)


def _by_symbol(records: Iterable[Any]) -> dict[str, dict[int, Row]]:
    rows: dict[str, dict[int, Row]] = {symbol: {} for symbol in RATES}
    for record in records:
        rows[record["symbol"]][record["window_start"]] = row_of(record)
    return rows


def assert_same(rows: dict[int, Row], expected: dict[int, Row], what: str) -> None:
    """Assert that the rows are as expected; the message shows the first that differ."""
    differing = [start for start in sorted(rows.keys() | expected.keys()) if rows.get(start) != expected.get(start)]
    shown = "\n".join(f"  {start}: {rows.get(start)}\n  expected    {expected.get(start)}" for start in differing[:5])
    assert not differing, f"{what}: {len(differing)} of {len(expected)} rows differ:\n{shown}"


async def _pause() -> None:
    """Sleep between two checks.

    Raises the CancelledError that asyncio.wait_for of Python 3.11 loses when a cancelled task's future is done at the
    same time. redis-py uses wait_for for each command.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    await asyncio.sleep(_PAUSE_S)


@asynccontextmanager
async def _snapshot(connection: asyncpg.Connection) -> AsyncIterator[None]:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        yield
