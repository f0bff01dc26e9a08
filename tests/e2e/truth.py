"""What the exchange has sent, and whether every candle says so.

The exchange's generator is a function of its arguments: a twin of it in this process has the same trades, before they
happen even.
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
"""By how much the twin is ahead: the clock of the cluster may differ from ours."""

LOOK_S: Final = 1.0
AWAY: Final = (*errors.OUTAGES, asyncpg.PostgresError)
"""What is raised while PostgreSQL is away."""


class Twin:
    """The same exchange as the pod, of which every trade is known. `arguments` are the pod's."""

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
        """Lets happen what happens until a while after now."""
        for market in self.server.markets.values():
            market.advance(time.time_ns() // 1000 + AHEAD_S * 1_000_000)

    def assert_same_trades(self, symbol: str, told: Sequence[dict[str, Any]]) -> None:
        """That what the exchange tells of its history is what is known here."""
        self.advance()
        known = {trade.id: trade for trade in self.server.markets[symbol].trades}
        assert told
        for trade in told:
            expected = known[trade["id"]]
            assert (trade["price"], trade["qty"], trade["isBuyerMaker"]) == (
                expected.price, expected.quantity, expected.buyer_is_maker,
            )  # fmt: skip


class Watch:
    """Looks at every candle that PostgreSQL holds, all the time: none may say complete that is not what was sent."""

    def __init__(self, twin: Twin, connect: Callable[[], Awaitable[Any]]) -> None:
        self._twin = twin
        self._connect = connect
        self._since = 0
        self._wrong: list[str] = []
        self._task: asyncio.Task[None] | None = None
        self.claims = 0
        """Candles seen that said complete."""

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Looks as long as the block lasts. A PostgreSQL that is away is waited for."""
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
                        await self._look(connection)
                        await asyncio.sleep(LOOK_S)
                finally:
                    connection.terminate()
            except AWAY:
                await asyncio.sleep(LOOK_S)

    def assert_well(self) -> None:
        """That nothing false was seen so far, and that somebody looks."""
        if self._task is not None and self._task.done():
            self._task.result()
        assert not self._wrong, f"{len(self._wrong)} candles say complete but are not, first {self._wrong[0]}"

    async def healed(self, symbols: Sequence[str], limit_s: float = 120.0) -> float:
        """Waits until every candle of these symbols, from their first to the one that is open now, is there, complete
        and what was sent; seconds that it took."""
        began = time.monotonic()
        last_s = int(time.time()) // WINDOW_S * WINDOW_S
        missing = "nobody has answered"
        while missing:
            self.assert_well()
            assert time.monotonic() < began + limit_s, f"after {limit_s:g} s not complete up to {last_s}: {missing}"
            await asyncio.sleep(0.3)
            try:
                connection = await self._connect()
                try:
                    missing = await _missing(connection, symbols, last_s)
                finally:
                    connection.terminate()
            except AWAY as error:
                missing = repr(error)
        took = time.monotonic() - began
        await self.assert_exact(symbols, last_s)
        return took

    async def assert_exact(self, symbols: Sequence[str], last_s: int) -> None:
        """That the rows up to this window are those of the trades sent: none wrong, none lost, none too many; and
        that the longer candles follow from them."""
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

    async def _look(self, connection: Any) -> None:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            # All rows of transactions that the last look did not see: of those below its xmin it saw all.
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
    """Of the symbols that are not complete up to this window, what is wrong."""
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
