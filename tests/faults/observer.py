"""Watchers that look all the time, and fail the test at the first thing that must never be seen."""

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

_LOOK_S: Final = 0.05


class CandleObserver:
    """No candle says complete that is not: looked at after every commit, as far as a look each 50 ms sees them."""

    def __init__(self, database_url: str, truth: Truth) -> None:
        self._url = database_url
        self._truth = truth
        self._since = 0
        self.looks = self.rows = 0

    async def run(self) -> None:
        """Looks at what was written since the last look, until cancelled; waits while PostgreSQL is away."""
        while True:
            try:
                async with self._connected() as connection:
                    while True:
                        await self._look(connection)
                        await asyncio.sleep(_LOOK_S)
            except OUTAGES:
                await asyncio.sleep(_LOOK_S)

    async def look_at_all(self) -> None:
        """Looks at every candle there is: those complete are true, and every longer one is what its parts come to."""
        tables = await self.tables()
        for symbol in RATES:
            for row in tables["10s"][symbol].values():
                self._check(symbol, row)
            for interval in ROLLUPS:
                children = interval.children or ""
                expected = reference_rollup(tables[children][symbol], interval, INTERVALS[children].seconds)
                assert_same(tables[interval.name][symbol], expected, f"{symbol} {interval.name}")
                await asyncio.sleep(0)  # the other watchers go on

    async def tables(self) -> dict[str, dict[str, dict[int, Row]]]:
        """All rows of one instant, by interval, symbol and window start."""
        async with self._connected() as connection, _snapshot(connection):
            return {
                name: _by_symbol(await connection.fetch(f"SELECT symbol, {COLUMNS} FROM {interval.table}"))
                for name, interval in INTERVALS.items()
            }

    async def _look(self, connection: asyncpg.Connection) -> None:
        async with _snapshot(connection):
            # All rows of transactions that the last look did not see: of those below its xmin it saw everything.
            records = await connection.fetch(
                f"SELECT symbol, {COLUMNS} FROM candles_10s WHERE xmin::text::bigint >= $1",
                self._since,
            )
            self._since = await connection.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        for record in records:
            self._check(record["symbol"], row_of(record))
        self.looks += 1

    def _check(self, symbol: str, row: Row) -> None:
        self.rows += 1
        if row.complete:
            truth = self._truth.row(symbol, row.window_start)
            assert row == truth, f"{symbol}: a candle says complete, but is not:\n  {row}\n  expected {truth}"

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self._url, timeout=5, command_timeout=20)
        try:
            yield connection
        finally:
            connection.terminate()


class LiveObserver:
    """Redis never goes back: neither in window, nor within it in trades or revision, nor in the newest trade's id.

    After a loss of its data the keys may be missing for a while, and are then no older than before. After a loss of
    records in Kafka what was shown of them cannot be shown again: then each key may go back once.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(redis_url, decode_responses=True, socket_timeout=2, socket_connect_timeout=2)
        self._seen: dict[str, tuple[int, ...]] = {}
        self._may_be_missing: set[str] = set()
        self._may_go_back: set[str] = set()
        self.looks = 0

    async def run(self) -> None:
        """Looks until cancelled; waits while Redis is away."""
        try:
            while True:
                try:
                    self._check(await self._read())
                    self.looks += 1
                except (RedisError, OSError):
                    pass
                await asyncio.sleep(_LOOK_S)
        finally:
            await self._redis.aclose()

    def redis_loses_its_data(self) -> None:
        """Tell it before that happens."""
        self._may_be_missing = set(self._seen)

    def kafka_loses_records(self) -> None:
        """Tell it before that happens."""
        self._may_go_back = set(self._seen)

    def all_is_well(self) -> None:
        """The pipeline has recovered: from here on nothing is missing and nothing goes back."""
        self._may_be_missing.clear()
        self._may_go_back.clear()

    async def missing(self) -> set[str]:
        """Keys that were seen before and are not there now. Raises RedisError."""
        return self._seen.keys() - (await self._read()).keys()

    async def _read(self) -> dict[str, tuple[int, ...]]:
        """How far each key is; those that are not there are left out."""
        pipeline = self._redis.pipeline(transaction=False)
        names = [name for symbol in RATES for name in Keys.of(NAME, symbol)[1:]]
        for name in names:
            pipeline.hgetall(name)
        found = dict(zip(names, await pipeline.execute(), strict=True))
        return {name: how_far(name, fields) for name, fields in found.items() if how_far(name, fields)}

    def _check(self, found: dict[str, tuple[int, ...]]) -> None:
        missing = self._seen.keys() - found.keys() - self._may_be_missing
        assert not missing, f"vanished from Redis: {sorted(missing)}"
        for name, now in found.items():
            before = self._seen.get(name, ())
            assert now >= before or name in self._may_go_back, f"{name} went back from {before} to {now}"
            if now < before:
                self._may_go_back.discard(name)
            self._seen[name] = now


def how_far(name: str, fields: dict[str, str]) -> tuple[int, ...]:
    """What must never go back of a hash."""
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
    """That the rows are those expected; the message shows the first that differ."""
    differing = [start for start in sorted(rows.keys() | expected.keys()) if rows.get(start) != expected.get(start)]
    shown = "\n".join(f"  {start}: {rows.get(start)}\n  expected    {expected.get(start)}" for start in differing[:5])
    assert not differing, f"{what}: {len(differing)} of {len(expected)} rows differ:\n{shown}"


@asynccontextmanager
async def _snapshot(connection: asyncpg.Connection) -> AsyncIterator[None]:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        yield
