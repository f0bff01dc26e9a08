"""Measure commits of many symbols into tables of realistic size: one closed window of each, and its rollups."""

import statistics
import time
from dataclasses import dataclass

import asyncpg
from marketstream.local.servers import EmbeddedServers
from marketstream.market.aggregator import Aggregator
from marketstream.market.number import to_text
from marketstream.market.window import INTERVALS, ROLLUPS, WINDOW_US
from marketstream.postgres.connect import close_pool, open_pool
from marketstream.postgres.migrate import migrate
from marketstream.postgres.writer import Claim, Numbered, SymbolKey, Writer
from marketstream.settings import Settings

from tests.bench.database import database
from tests.bench.trades import EXCHANGE, PRICE_SCALE, QUANTITY_SCALE, START_US, STEP_US, WINDOW_TRADES, History

SIZES = (10, 100, 1_000)
STORED_SYMBOLS = 100
STORED_S = 6 * 3600
WARM_UP = 3


@dataclass(frozen=True)
class Measured:
    """Times of one commit in ms, by the clock, and the CPU time of the process for each of its candles in µs."""

    symbols: int
    commits: int
    median_ms: float
    p95_ms: float
    cpu_us: float


async def measure(servers: EmbeddedServers, commits: int) -> list[Measured]:
    """Measure `commits` commits of each size."""
    async with database(servers.database_url, "bench_commit") as url:
        pool = await open_pool(Settings(database_url=url), size=1)
        try:
            await migrate(pool)
            await _fill(pool)
            return [await _measure(Writer(pool), symbols, commits) for symbols in SIZES]
        finally:
            await close_pool(pool)


async def _measure(writer: Writer, symbols: int, commits: int) -> Measured:
    keys = [SymbolKey(EXCHANGE, f"S{number}") for number in range(symbols)]
    claims = await writer.claim({key: f"trades.{key.symbol}" for key in keys})
    markets = {key: _Market(claim) for key, claim in claims.items()}
    clock, cpu = [], []
    for _ in range(WARM_UP + commits):
        due = {key: market.next_commit() for key, market in markets.items()}
        clock_began, cpu_began = time.perf_counter(), time.process_time()
        committed = await writer.commit(due)
        clock.append((time.perf_counter() - clock_began) * 1e3)
        cpu.append((time.process_time() - cpu_began) * 1e6 / symbols)
        if len(committed.newest_closed) != symbols:
            raise RuntimeError(f"{len(committed.newest_closed)} symbols have a new candle, expected {symbols}")
    clock, cpu = clock[WARM_UP:], cpu[WARM_UP:]
    return Measured(
        symbols, commits, statistics.median(clock), statistics.quantiles(clock, n=20)[-1], statistics.median(cpu)
    )


class _Market:
    """A symbol with one closed window in each commit, as in a live market."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._number = claim.commit_number
        self._history = History(1)
        self._aggregator = Aggregator(claim.progress, grace_us=0, max_id_jump=10**6, max_holes=10)
        # Begins after the last window that an earlier measurement has stored.
        self._next = max(0, (claim.progress.closed_until + 1) * WINDOW_US - START_US) // STEP_US
        self._count(1)

    def next_commit(self) -> Numbered:
        self._count(WINDOW_TRADES)
        self._number += 1
        commit = self._aggregator.take(self._number)
        if len(commit.candles) != 1:
            raise RuntimeError(f"{len(commit.candles)} candles in a commit, expected 1")
        return Numbered(self._claim.fence, self._number, commit)

    def _count(self, trades: int) -> None:
        """Count one of a window's trades: the cost of a commit does not depend on their number."""
        self._next += trades
        columns = self._history.columns(self._next, 1)
        self._aggregator.apply(columns, self._next, columns.times[-1])


async def _fill(pool: asyncpg.Pool) -> None:
    """Store six hours of 10 s candles of 100 symbols, and their rollups."""
    end = START_US // 1_000_000 // 10 * 10
    begin = INTERVALS["4h"].start_of(end - STORED_S)
    price, amount = to_text(6_512_345, PRICE_SCALE), to_text(123_456, QUANTITY_SCALE)
    for interval in (INTERVALS["10s"], *ROLLUPS):
        await pool.execute(
            f"""
            INSERT INTO {interval.table} (exchange, symbol, window_start, open, high, low, close, volume, quote_volume,
                taker_buy_volume, open_time, open_id, close_time, close_id, trade_count, first_trade_id, last_trade_id,
                complete)
            SELECT $1, 'S' || s, w, p + s, p + s + w % 7, p + s, p + s + w % 5, a + s, p * a + w, a, w * 1000000, w,
                   w * 1000000 + 9, w + 9, 10, w, w + 9, true
            FROM generate_series($3::bigint, $4::bigint - {interval.seconds}, {interval.seconds}) AS w,
                 generate_series(0, $2::int - 1) AS s, (VALUES ({price}, {amount})) AS v (p, a)
            """,
            EXCHANGE,
            STORED_SYMBOLS,
            begin,
            end,
            timeout=120,
        )
        await pool.execute(f"VACUUM ANALYZE {interval.table}", timeout=120)
