"""Watching the candles of a pipeline all the time, and waiting until all of them are complete."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Final, TypeVar

import asyncpg
import httpx
from marketstream.market.window import WINDOW_S, window_of
from marketstream.postgres.connect import close_pool, open_pool
from marketstream.postgres.migrate import migrate
from marketstream.postgres.writer import SymbolKey
from marketstream.redis.keys import Keys
from marketstream.settings import Settings
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.faults.observer import assert_same
from tests.harness.binance.server import BinanceServer
from tests.harness.model import Row
from tests.harness.tables import COLUMNS, assert_rollups_follow, row_of, stored_rows
from tests.integration.live.exchange import Truth

T = TypeVar("T")

EXCHANGE: Final = "binance"
GOAL_S: Final = 60
"""Seconds within which all candles should be complete again after a fault."""

LIMIT_S: Final = 3 * GOAL_S  # the machine may be busy
LOOK_S: Final = 0.02


class Watch:
    """Checks that every complete candle is correct, compared with the exchange's own trades.

    The candles are those in PostgreSQL, in Redis, and in the answers of the API if there is one at `api_url`.
    """

    def __init__(
        self, settings: Settings, server: BinanceServer, api_url: str | None = None, truth: Truth | None = None
    ) -> None:
        self._settings = settings
        self._server = server
        self._truth = truth or Truth(server)
        self.excused: dict[str, list[range]] = {symbol: [] for symbol in settings.symbols}
        """Windows (starts in Unix seconds) that need not be complete, because nobody can prove them any more."""
        self._api_url = api_url
        self._since = 0
        self._watching: list[asyncio.Task[None]] = []
        self._over = False
        self.looks = self.claims = self.answers = 0
        """Checks of the database, complete candles seen, and answers of the API."""

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Check candles during the block. A wrong one makes `healed` and the end of the block fail."""
        pool = await open_pool(self._settings, size=1)
        await migrate(pool)  # so that the tables exist at the first check
        await close_pool(pool)
        self._watching = [asyncio.create_task(look()) for look in (self._look_at_rows, self._look_at_live)]
        if self._api_url is not None:
            self._watching.append(asyncio.create_task(self._look_at_api(self._api_url)))
        try:
            yield
            self.assert_well()
        finally:
            self._over = True
            await asyncio.wait(self._watching, timeout=10)

    def assert_well(self) -> None:
        """Assert that no complete candle was wrong so far."""
        for task in self._watching:
            if task.done():
                task.result()

    def window(self) -> int:
        """Return the start (Unix s) of the exchange's present window."""
        return window_of(self._server.clock.now_us()) * WINDOW_S

    async def healed(self, limit_s: float = LIMIT_S) -> float:
        """Wait until every candle of every symbol up to the present exists and is complete; return the seconds."""
        began = time.monotonic()
        connection = await asyncpg.connect(self._settings.database_url)
        try:
            while not await self._has_begun(connection):
                self.assert_well()
                assert time.monotonic() < began + limit_s, f"after {limit_s} s not all symbols have a candle"
                await asyncio.sleep(0.1)
            last_s = self.window()
            while missing := await self._missing(connection, last_s):
                self.assert_well()
                assert time.monotonic() < began + limit_s, f"after {limit_s} s not complete up to {last_s}: {missing}"
                await asyncio.sleep(0.1)
        finally:
            await connection.close()
        return time.monotonic() - began

    async def assert_all_as_it_was(self, lost: Mapping[str, Sequence[int]] | None = None) -> None:
        """Assert that every row of every table follows from the trades that happened and were not `lost`.

        The last window is not compared, as its verdict may be part of the next commit.
        """
        connection = await asyncpg.connect(self._settings.database_url)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                for symbol in self._settings.symbols:
                    rows = await stored_rows(connection, SymbolKey(EXCHANGE, symbol))
                    first, last = min(rows), max(rows)
                    missing = (lost or {}).get(symbol, ())
                    expected = self._truth.rows(symbol, rows[first].first_trade_id - 1, missing)
                    within = {start: row for start, row in expected.items() if first <= start < last}
                    assert_same(self._not_excused(symbol, rows, last), self._not_excused(symbol, within, last), symbol)
                    for start in rows.keys() & within.keys():
                        assert rows[start].trade_count <= within[start].trade_count, "a trade was counted twice"
                    await assert_rollups_follow(connection, SymbolKey(EXCHANGE, symbol), rows)
        finally:
            await connection.close()

    async def _has_begun(self, connection: Any) -> bool:
        known = await connection.fetchval("SELECT count(DISTINCT symbol) FROM candles_10s")
        return bool(known == len(self._settings.symbols))

    async def _missing(self, connection: Any, last_s: int) -> dict[str, str]:
        """Return a description of every symbol that is incomplete up to this window."""
        found = await connection.fetch(
            "SELECT symbol, window_start, incomplete_reason FROM candles_10s WHERE window_start <= $1", last_s
        )
        wrong = {}
        for symbol in self._settings.symbols:
            rows = {row["window_start"]: row["incomplete_reason"] for row in found if row["symbol"] == symbol}
            expected = self._not_excused(symbol, dict.fromkeys(range(min(rows), last_s + 1, WINDOW_S)), last_s + 1)
            if (not_excused := self._not_excused(symbol, rows, last_s + 1)) != expected:
                incomplete = {start: reason for start, reason in not_excused.items() if reason}
                absent = sorted(expected.keys() - rows.keys())
                wrong[symbol] = f"incomplete {incomplete}, absent {absent}"
        return wrong

    def _not_excused(self, symbol: str, rows: Mapping[int, T], end_s: int) -> dict[int, T]:
        """Return the rows of the windows that start before `end_s` (Unix s), without the excused ones."""
        excused = self.excused[symbol]
        return {
            start: row
            for start, row in rows.items()
            if start < end_s and not any(start in windows for windows in excused)
        }

    async def _look_at_rows(self) -> None:
        connection = await asyncpg.connect(self._settings.database_url)
        try:
            while not self._over:
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    # All rows of transactions that the last check did not see: it saw all below its xmin.
                    records = await connection.fetch(
                        f"SELECT symbol, {COLUMNS} FROM candles_10s WHERE xmin::text::bigint >= $1", self._since
                    )
                    self._since = await connection.fetchval(
                        "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
                    )
                for record in records:
                    self._check(record["symbol"], row_of(record), "PostgreSQL")
                self.looks += 1
                await asyncio.sleep(LOOK_S)
        finally:
            await connection.close()

    async def _look_at_live(self) -> None:
        async with Redis.from_url(self._settings.redis_url, decode_responses=True) as redis:
            while not self._over:
                with contextlib.suppress(RedisError, OSError):  # it restarts, or fails over
                    for symbol in self._settings.symbols:
                        for key in Keys.of(EXCHANGE, symbol)[1:3]:
                            if fields := await redis.hgetall(key):
                                self._check(symbol, row_of(fields_of(fields)), key)
                await asyncio.sleep(LOOK_S)

    async def _look_at_api(self, url: str) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=5) as client:
            while not self._over:
                for symbol in self._settings.symbols:
                    with contextlib.suppress(httpx.TransportError):  # the API is restarting
                        answer = await client.get("/candles", params={"symbol": symbol, "limit": 100})
                        if answer.is_success:
                            for candle in answer.json():
                                self._check(symbol, row_of(fields_of(candle)), "the API")
                            self.answers += 1
                await asyncio.sleep(0.1)

    def _check(self, symbol: str, row: Row, where: str) -> None:
        if not row.complete:
            return
        self.claims += 1
        truth = self._truth.row(symbol, row.window_start)
        assert row == truth, f"{symbol} in {where} is a wrong complete candle:\n  {row}\n  expected {truth}"


def fields_of(texts: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the fields of a candle with the types of the database, from the texts of Redis or of the API."""
    amounts = ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume")
    numbers = ("window_start", "trade_count", "first_trade_id", "last_trade_id")
    return (
        {name: Decimal(texts[name]) for name in amounts}
        | {name: int(texts[name]) for name in numbers}
        | {"complete": texts["complete"] in (True, "true")}
    )
