"""Pools of connections to a real PostgreSQL."""

import asyncio

import pytest
from marketstream.postgres.connect import close_pool, open_pool
from marketstream.postgres.errors import StoreError, StoreRefusedError, StoreUnavailableError
from marketstream.postgres.migrate import migrate, packaged
from marketstream.settings import Settings


async def test_the_pool_limits_the_statements_of_its_sessions(database_url: str) -> None:
    pool = await open_pool(Settings(database_url=database_url), size=1)
    try:
        names = ("application_name", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "jit")
        shown = [await pool.fetchval(f"SHOW {name}") for name in names]
        assert shown == ["marketstream", "30s", "10s", "10s", "off"]
        assert await migrate(pool) == [migration.version for migration in packaged()]
    finally:
        await close_pool(pool)


async def test_an_unreachable_database_is_retried_up_to_a_limit() -> None:
    settings = Settings(database_url="postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(StoreUnavailableError, match=r"did not answer within 0\.5 s"):
        await open_pool(settings, size=1, wait_s=0.5)


async def test_an_unknown_database_is_not_retried(database_url: str) -> None:
    settings = Settings(database_url=f"{database_url}_missing")
    async with asyncio.timeout(10):
        with pytest.raises(StoreRefusedError, match="does not exist") as caught:
            await open_pool(settings, size=1, wait_s=60)
    assert isinstance(caught.value, StoreError)
