"""Calls while PostgreSQL is frozen: its processes are stopped, and connections to it stay open."""

import asyncio
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from marketstream.local.postgres import PostgresServer
from marketstream.postgres.connect import close_pool, open_pool
from marketstream.postgres.errors import StoreUnavailableError
from marketstream.postgres.reader import StoreReader
from marketstream.postgres.writer import Numbered, Writer
from marketstream.settings import Settings

from tests.harness.clients import within
from tests.harness.pgbouncer import pgbouncer
from tests.harness.servers import pause, resume
from tests.integration.postgres.owner import WHOLE, Owner
from tests.integration.processor.market import KEY, LIMIT_S


async def stored_once(pool: asyncpg.Pool, commit: Numbered) -> None:
    """Wait until the commit, sent again, is stored."""

    async def is_sent() -> None:
        async with asyncio.timeout(2 * LIMIT_S):
            await Writer(pool).commit({KEY: commit})

    await within(4 * LIMIT_S, is_sent)
    counts = await pool.fetch("SELECT trade_count FROM candles_10s ORDER BY window_start")
    assert [row["trade_count"] for row in counts] == [1, 2, 1]


async def test_a_commit_ends_in_time_although_the_database_is_frozen(
    pool: asyncpg.Pool, postgres: PostgresServer
) -> None:
    commit = (await Owner.of(pool)).take(*WHOLE, until=9)
    pause(postgres)
    try:
        started = time.monotonic()
        with pytest.raises((TimeoutError, StoreUnavailableError)):
            async with asyncio.timeout(2):
                await Writer(pool).commit({KEY: commit})
        assert time.monotonic() - started < LIMIT_S
    finally:
        resume(postgres)
    await stored_once(pool, commit)


async def test_a_commit_ends_in_time_although_the_database_freezes_under_it(
    pool: asyncpg.Pool, postgres: PostgresServer
) -> None:
    """The server freezes while the commit waits for a lock, with its transaction open."""
    commit = (await Owner.of(pool)).take(*WHOLE, until=9)
    async with pool.acquire() as connection:
        obstacle = connection.transaction()
        await obstacle.start()
        await connection.execute("LOCK TABLE candles_10s IN EXCLUSIVE MODE")
        committing = asyncio.create_task(Writer(pool).commit({KEY: commit}))

        async def it_waits() -> None:
            waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            assert await pool.fetch(waiting)

        await within(LIMIT_S, it_waits)
        pause(postgres)
        try:
            committing.cancel()
            await asyncio.wait([committing], timeout=LIMIT_S)
            assert committing.cancelled()
        finally:
            resume(postgres)
        await obstacle.rollback()
    await stored_once(pool, commit)


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_calls_end_in_time_although_the_database_is_frozen_behind_a_pooler(
    pool: asyncpg.Pool, postgres: PostgresServer, database_url: str, tmp_path: Path, mode: str
) -> None:
    """The pooler itself answers, so that no connection is lost."""
    async with pgbouncer(tmp_path, database_url, mode) as url:
        pooled = await open_pool(Settings(database_url=url), size=4)
        reader, writer = StoreReader(pooled, limit_s=1), Writer(pooled)
        calls = (reader.ping(), _limited(writer.newest_closed([KEY])), _limited(writer.claim({KEY: "topic"})))
        try:
            await asyncio.gather(reader.ping(), reader.symbols(), writer.newest_closed([KEY]))
            pause(postgres)
            try:
                started = time.monotonic()
                for found in await asyncio.gather(*calls, return_exceptions=True):
                    assert isinstance(found, TimeoutError | StoreUnavailableError)
                assert time.monotonic() - started < LIMIT_S
            finally:
                resume(postgres)
            await within(4 * LIMIT_S, reader.ping)
        finally:
            await close_pool(pooled)


async def _limited(call: Coroutine[Any, Any, Any]) -> None:
    async with asyncio.timeout(1):
        await call
