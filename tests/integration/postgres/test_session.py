"""Reading and writing through a real PgBouncer, as through the server itself."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from marketstream.market.aggregator import Aggregator
from marketstream.market.progress import Progress
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import INTERVALS, WINDOW_US
from marketstream.postgres.connect import Pool, close_pool, lazy_pool, open_pool, wait_for
from marketstream.postgres.errors import StoreUnavailableError
from marketstream.postgres.migrate import migrate, packaged
from marketstream.postgres.reader import StoreReader
from marketstream.postgres.session import LIMITS, fetch
from marketstream.postgres.writer import Numbered, SymbolKey, Writer
from marketstream.settings import Settings

from tests.harness.pgbouncer import pgbouncer
from tests.harness.scenarios import EPOCH

MODES = [("session", ""), ("transaction", ""), ("transaction", ",".join(LIMITS)), ("session", ",".join(LIMITS))]
WINDOWS = 20
WRITERS = 6
"""More connections than the pooler has sessions, so that they share them."""


@pytest.fixture(params=MODES, ids=lambda mode: f"{mode[0]}{'-ignoring' * bool(mode[1])}")
async def pooled_url(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> AsyncIterator[str]:
    mode, ignored = request.param
    async with pgbouncer(tmp_path, database_url, mode, ignored) as url:
        yield url


@pytest.fixture
async def pool(pooled_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(Settings(database_url=pooled_url), size=WRITERS)
    yield opened
    await close_pool(opened)


async def write(pool: Pool, key: SymbolKey) -> None:
    """Store a candle of one trade for each window, in one commit each."""
    writer = Writer(pool)
    claim = (await writer.claim({key: "topic"}))[key]
    aggregator = Aggregator(Progress(), grace_us=0, max_id_jump=10**6, max_holes=10)
    for number in range(WINDOWS + 1):
        trade = Trade(number, 1, EPOCH + number * WINDOW_US, 100 + number, 5, True)
        aggregator.apply(Trades.of([trade], 2, 2), number, 2 * EPOCH)
        commit = aggregator.take(number + 1)
        committed = await writer.commit({key: Numbered(claim.fence, number + 1, commit)})
        assert not committed.fenced


async def test_writers_and_readers_through_a_pooler(pool: Pool) -> None:
    assert await migrate(pool) == [migration.version for migration in packaged()]
    keys = [SymbolKey("binance", f"SYMBOL{number}") for number in range(2 * WRITERS)]
    reader = StoreReader(pool, limit_s=30)

    async def read(key: SymbolKey) -> None:
        for _ in range(WINDOWS):
            await reader.candles(*key, INTERVALS["10s"], None, None, 5)

    await asyncio.gather(*(write(pool, key) for key in keys), *(read(key) for key in keys))
    for key in keys:
        candles = await reader.candles(*key, INTERVALS["10s"], None, None, WINDOWS)
        assert [candle.trade_count for candle in candles] == [1] * WINDOWS
    assert {followed.symbol for followed in await reader.symbols()} == {key.symbol for key in keys}


async def test_statements_have_their_limits(pool: Pool) -> None:
    async with pool.acquire() as session:
        assert session.is_pooled
        for name, value in LIMITS.items():
            assert (await fetch(session, "SELECT current_setting($1)", name))[0][0] == value


async def test_a_pooler_is_detected_although_the_database_has_one_of_the_limits(
    database_url: str, tmp_path: Path
) -> None:
    admin = await asyncpg.connect(database_url)
    name = urlsplit(database_url).path.removeprefix("/")
    await admin.execute(f"ALTER DATABASE {name} SET statement_timeout = '{LIMITS['statement_timeout']}'")
    await admin.close()
    async with pgbouncer(tmp_path, database_url, "transaction", ",".join(LIMITS)) as url:
        opened = await open_pool(Settings(database_url=url), size=1)
        try:
            await test_statements_have_their_limits(opened)
        finally:
            await close_pool(opened)


async def test_others_behind_the_same_pooler_keep_their_settings(pool: Pool, pooled_url: str) -> None:
    async with pool.acquire() as session:
        await fetch(session, "SELECT 1")
    others = [await asyncpg.connect(pooled_url, statement_cache_size=0) for _ in range(3)]
    try:
        for other in others:
            async with other.transaction():
                assert await other.fetchval("SELECT current_setting('statement_timeout')") == "0"
    finally:
        for other in others:
            await other.close()


async def test_a_server_without_a_pooler_has_sessions_with_limits(database_url: str) -> None:
    opened = await open_pool(Settings(database_url=database_url), size=1)
    try:
        async with opened.acquire() as session:
            assert not session.is_pooled
            for name, value in LIMITS.items():
                assert await session.fetchval("SELECT current_setting($1)", name) == value
    finally:
        await close_pool(opened)


async def test_a_pooler_without_its_server_is_an_outage(tmp_path: Path, database_url: str) -> None:
    async with pgbouncer(tmp_path, database_url, "transaction") as url:
        elsewhere = url.rpartition("/")[0] + "/no_such_database"
        opened = await lazy_pool(Settings(database_url=elsewhere), size=1)
        try:
            with pytest.raises(StoreUnavailableError):
                await wait_for(opened, 2.0)
        finally:
            await close_pool(opened)
