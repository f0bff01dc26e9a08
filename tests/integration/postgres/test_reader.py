"""Reads of closed candles from a real PostgreSQL."""

from collections.abc import AsyncIterator
from decimal import Decimal

import asyncpg
import pytest
from marketstream.market.number import decimal_text
from marketstream.market.window import INTERVALS
from marketstream.postgres.connect import close_pool, lazy_pool, open_pool
from marketstream.postgres.errors import StoreUnavailableError
from marketstream.postgres.migrate import Connection, migrate
from marketstream.postgres.reader import CandleRow, Followed, StoreReader
from marketstream.settings import Settings

from tests.harness.rows import CANDLE, add_candles, add_symbol

FIRST = 1610064000
TEN, MINUTE = INTERVALS["10s"], INTERVALS["1m"]


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(Settings(database_url=database_url), size=2)
    await migrate(pool)
    yield pool
    await close_pool(pool)


@pytest.fixture
async def connection(pool: asyncpg.Pool) -> AsyncIterator[Connection]:
    async with pool.acquire() as connection:
        yield connection


@pytest.fixture
def reader(pool: asyncpg.Pool) -> StoreReader:
    return StoreReader(pool)


async def starts(reader: StoreReader, start: int | None = None, end: int | None = None, limit: int = 1000) -> list[int]:
    return [candle.window_start for candle in await reader.candles("binance", "BTCUSDT", TEN, start, end, limit)]


async def test_a_candle_has_its_numbers_as_plain_text(connection: Connection, reader: StoreReader) -> None:
    await add_symbol(connection, "binance", "BTCUSDT", FIRST + 20)
    await add_candles(connection, {})
    assert await reader.candles("binance", "BTCUSDT", TEN, None, None, 50) == [
        CandleRow(
            exchange="binance", symbol="BTCUSDT", interval="10s", window_start=FIRST + 10,
            open="39479.22", high="39499.98", low="39460.39", close="39491.98",
            volume="19.694925", quote_volume="777500.0187459", taker_buy_volume="0",
            vwap="39477.175909", trade_count=328, first_trade_id=1350, last_trade_id=1677,
            complete=True, incomplete_reason=None, revision=0,
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    "number", ["0", "1", "10", "1000000", "0.10", "0.000000000000000001", "9223372036854775807", "120.500", "1E+3"]
)
async def test_the_text_is_that_of_the_domain(connection: Connection, reader: StoreReader, number: str) -> None:
    await add_symbol(connection, "binance", "BTCUSDT", FIRST + 20)
    await add_candles(connection, {"taker_buy_volume": Decimal(number)})
    (candle,) = await reader.candles("binance", "BTCUSDT", TEN, None, None, 1)
    assert candle.taker_buy_volume == decimal_text(Decimal(number))


async def test_a_window_without_trades_has_no_vwap(connection: Connection, reader: StoreReader) -> None:
    await add_symbol(connection, "binance", "BTCUSDT", FIRST + 20)
    await add_candles(connection, {"volume": Decimal(0), "quote_volume": Decimal(0), "trade_count": 0})
    (candle,) = await reader.candles("binance", "BTCUSDT", TEN, None, None, 1)
    assert candle.vwap is None


async def test_vwap_of_a_tiny_price_keeps_its_digits(connection: Connection, reader: StoreReader) -> None:
    price = Decimal("0.00000825")
    prices = dict.fromkeys(("open", "high", "low", "close"), price)
    await add_symbol(connection, "binance", "BTCUSDT", FIRST + 20)
    await add_candles(connection, {**prices, "volume": Decimal(3), "quote_volume": Decimal("0.00002476")})
    (candle,) = await reader.candles("binance", "BTCUSDT", TEN, None, None, 1)
    assert candle.vwap == "0.000008253333"


async def test_the_newest_of_a_range_are_read_oldest_first(connection: Connection, reader: StoreReader) -> None:
    await add_symbol(connection, "binance", "BTCUSDT", FIRST + 50)
    await add_candles(connection, *({"window_start": FIRST + 10 * n} for n in range(5)))
    assert await starts(reader) == [FIRST + 10 * n for n in range(5)]
    assert await starts(reader, limit=2) == [FIRST + 30, FIRST + 40]
    assert await starts(reader, FIRST + 10, FIRST + 40) == [FIRST + 10, FIRST + 20, FIRST + 30]
    assert await starts(reader, FIRST + 10, FIRST + 40, 1) == [FIRST + 30]
    assert await starts(reader, FIRST + 11) == [FIRST + 20, FIRST + 30, FIRST + 40]
    assert await starts(reader, FIRST + 50) == []


async def test_other_symbols_and_exchanges_are_not_mixed_in(connection: Connection, reader: StoreReader) -> None:
    for exchange, symbol in (("binance", "BTCUSDT"), ("binance", "ETHUSDT"), ("replay", "BTCUSDT")):
        await add_symbol(connection, exchange, symbol, FIRST + 20)
        await add_candles(connection, {"exchange": exchange, "symbol": symbol})
    assert await starts(reader) == [FIRST + 10]


@pytest.mark.parametrize(("closed_until", "expected"), [(0, []), (50, []), (60, [0]), (110, [0]), (120, [0, 60])])
async def test_a_rollup_is_not_read_before_its_window_is_closed(
    connection: Connection, reader: StoreReader, closed_until: int, expected: list[int]
) -> None:
    minute = FIRST - FIRST % 60
    await add_symbol(connection, "binance", "BTCUSDT", minute + closed_until)
    await add_candles(connection, {"window_start": minute}, {"window_start": minute + 60}, table="candles_1m")
    candles = await reader.candles("binance", "BTCUSDT", MINUTE, None, None, 10)
    assert [(candle.window_start - minute, candle.interval) for candle in candles] == [(at, "1m") for at in expected]


async def test_every_interval_has_its_table(connection: Connection, reader: StoreReader) -> None:
    day = FIRST - FIRST % 86_400
    await add_symbol(connection, "binance", "BTCUSDT", day + 86_400)
    for interval in INTERVALS.values():
        await add_candles(connection, {"window_start": day}, table=interval.table)
        (candle,) = await reader.candles("binance", "BTCUSDT", interval, day, None, 10)
        assert (candle.interval, candle.window_start) == (interval.name, day)


async def test_the_range_is_read_through_the_index(connection: Connection) -> None:
    await add_candles(connection, *({"window_start": FIRST + 10 * n} for n in range(5000)))
    await add_symbol(connection, "binance", "BTCUSDT", FIRST + 50_000)
    await connection.execute("ANALYZE")
    plan = await connection.fetch(
        "EXPLAIN SELECT * FROM candles_10s WHERE exchange = 'binance' AND symbol = 'BTCUSDT' AND window_start < $1 "
        "AND window_start <= (SELECT closed_until FROM progress WHERE exchange = 'binance' AND symbol = 'BTCUSDT') "
        "ORDER BY window_start DESC LIMIT 50",
        CANDLE["window_start"] + 10_000,
    )
    assert "Index Scan Backward using candles_10s_key" in "\n".join(row[0] for row in plan)


async def test_symbols_are_those_with_progress(connection: Connection, reader: StoreReader) -> None:
    assert await reader.symbols() == []
    await add_symbol(connection, "replay", "BTCUSDT", 0)
    await add_symbol(connection, "binance", "ETHUSDT", FIRST)
    assert await reader.symbols() == [Followed("binance", "ETHUSDT", FIRST), Followed("replay", "BTCUSDT", 0)]


async def test_a_database_without_tables_is_unavailable(database_url: str) -> None:
    pool = await lazy_pool(Settings(database_url=database_url), size=1)
    try:
        with pytest.raises(StoreUnavailableError, match="no tables yet"):
            await StoreReader(pool).symbols()
    finally:
        await close_pool(pool)


async def test_an_unreachable_database_is_unavailable() -> None:
    pool = await lazy_pool(Settings(database_url="postgresql://nobody@127.0.0.1:1/nothing"), size=1)
    try:
        with pytest.raises(StoreUnavailableError, match="PostgreSQL is unavailable"):
            await StoreReader(pool).symbols()
    finally:
        await close_pool(pool)
