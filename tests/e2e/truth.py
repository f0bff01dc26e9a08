"""The trades that the exchange has sent, and the candles that must follow from them.

The exchange's generator is a pure function of its arguments, so a twin of it in this process has the same trades, even
before they happen.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
from marketstream.market.window import WINDOW_S
from marketstream.postgres import errors
from marketstream.postgres.writer import SymbolKey

from tests.faults.observer import assert_same
from tests.harness.binance.server import BinanceServer
from tests.harness.tables import COLUMNS, assert_rollups_follow, row_of, stored_rows
from tests.integration.live.exchange import Truth

EXCHANGE: Final = "binance"
AHEAD_S: Final = 60
"""Seconds by which the twin is ahead, because the clock of the cluster may differ from ours."""

PAUSE_S: Final = 1.0
UNAVAILABLE: Final = (*errors.OUTAGES, asyncpg.PostgresError)
"""Errors that are raised while PostgreSQL is unavailable."""


class Twin:
    """The same exchange as in the pod, with every trade known. `arguments` are those of the pod."""

    def __init__(self, symbols: Sequence[str], *, seed: int, rate: float, past_s: int = 300) -> None:
        since = int(time.time()) - past_s
        self.arguments = [
            "--symbols", ",".join(symbols), "--seed", str(seed), "--rate", str(rate), "--since", str(since),
        ]  # fmt: skip
        self.server = BinanceServer.from_generator(
            symbols, seed=seed, trades_per_second=rate, begin_us=since * 1_000_000
        )
        self.truth = Truth(self.server)

    def advance(self) -> None:
        """Generate the trades until AHEAD_S seconds after now."""
        for market in self.server.markets.values():
            market.advance(time.time_ns() // 1000 + AHEAD_S * 1_000_000)

    def assert_same_trades(self, symbol: str, told: Sequence[dict[str, Any]]) -> None:
        """Assert that trades from the exchange's history equal those of the twin."""
        self.advance()
        known = {trade.id: trade for trade in self.server.markets[symbol].trades}
        assert told
        for trade in told:
            expected = known[trade["id"]]
            assert (trade["price"], trade["qty"], trade["isBuyerMaker"]) == (
                expected.price, expected.quantity, expected.buyer_is_maker,
            )  # fmt: skip


class Watch:
    """Checks every new row of PostgreSQL: no candle may claim to be complete and differ from the trades sent."""

    def __init__(self, twin: Twin, connect: Callable[[], Awaitable[Any]]) -> None:
        self._twin = twin
        self._connect = connect
        self._since = 0
        self._wrong: list[str] = []
        self._task: asyncio.Task[None] | None = None
        self.claims = 0
        """The number of complete candles seen."""

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Check new rows in the background, waiting for PostgreSQL while it is unavailable."""
        self._task = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _keep(self) -> None:
        while True:
            try:
                connection = await self._connect()
                try:
                    while True:
                        await self._check_new(connection)
                        await asyncio.sleep(PAUSE_S)
                finally:
                    connection.terminate()
            except UNAVAILABLE:
                await asyncio.sleep(PAUSE_S)

    def assert_well(self) -> None:
        """Assert that the background check works and has found nothing wrong."""
        if self._task is not None and self._task.done():
            self._task.result()
        assert not self._wrong, f"{len(self._wrong)} candles wrongly claim to be complete, first {self._wrong[0]}"

    async def healed(self, symbols: Sequence[str], limit_s: float = 120.0) -> float:
        """Wait until every candle of these symbols, from the first to the open one, is complete and exact.

        Returns the seconds that this took.
        """
        began = time.monotonic()
        last_s = int(time.time()) // WINDOW_S * WINDOW_S
        missing = "not checked yet"
        while missing:
            self.assert_well()
            assert time.monotonic() < began + limit_s, f"not complete up to {last_s} within {limit_s:g} s: {missing}"
            await asyncio.sleep(0.3)
            try:
                connection = await self._connect()
                try:
                    missing = await _missing(connection, symbols, last_s)
                finally:
                    connection.terminate()
            except UNAVAILABLE as error:
                missing = repr(error)
        took = time.monotonic() - began
        await self.assert_exact(symbols, last_s)
        return took

    async def assert_exact(self, symbols: Sequence[str], last_s: int) -> None:
        """Assert that the rows up to this window are exactly those of the trades sent.

        The longer candles must be their rollups.
        """
        self._twin.advance()
        connection = await self._connect()
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                for symbol in symbols:
                    rows = await stored_rows(connection, SymbolKey(EXCHANGE, symbol))
                    first = min(rows)
                    expected = self._twin.truth.rows(symbol, rows[first].first_trade_id - 1)
                    within = {start: row for start, row in expected.items() if first <= start <= last_s}
                    assert_same({start: row for start, row in rows.items() if start <= last_s}, within, symbol)
                    await assert_rollups_follow(connection, SymbolKey(EXCHANGE, symbol), rows)
        finally:
            connection.terminate()
        self.assert_well()

    async def _check_new(self, connection: Any) -> None:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            # The rows of all transactions that the last check did not see. It saw all transactions below its xmin.
            records = await connection.fetch(
                f"SELECT symbol, {COLUMNS} FROM candles_10s WHERE exchange = $1 AND xmin::text::bigint >= $2",
                EXCHANGE, self._since,
            )  # fmt: skip
            self._since = await connection.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        self._twin.advance()
        for record in records:
            row, symbol = row_of(record), record["symbol"]
            if row.complete:
                self.claims += 1
                truth = self._twin.truth.row(symbol, row.window_start)
                if row != truth:
                    self._wrong.append(f"{symbol}: {row}\n  expected {truth}")


async def _missing(connection: Any, symbols: Sequence[str], last_s: int) -> str:
    """Describe the symbols whose candles are not complete up to this window; an empty text if all are."""
    found = await connection.fetch(
        "SELECT symbol, min(window_start) AS first, count(*) AS rows, max(window_start) AS last, "
        "array_agg(window_start || ' ' || incomplete_reason) FILTER (WHERE NOT complete) AS incomplete "
        "FROM candles_10s WHERE window_start <= $1 GROUP BY symbol",
        last_s,
    )
    by_symbol = {row["symbol"]: row for row in found}
    wrong = {}
    for symbol in symbols:
        row = by_symbol.get(symbol)
        if row is None:
            wrong[symbol] = "no candle"
        elif row["incomplete"] or row["rows"] != (last_s - row["first"]) // WINDOW_S + 1:
            wrong[symbol] = f"{row['rows']} candles from {row['first']} to {row['last']}, {row['incomplete'] or 'all'} "
            wrong[symbol] += "incomplete" if row["incomplete"] else "complete"
    return "; ".join(f"{symbol}: {text}" for symbol, text in wrong.items())
