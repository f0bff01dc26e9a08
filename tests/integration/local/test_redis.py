"""The embedded Redis: nothing on disk, and no eviction."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from marketstream.local.redis import RedisServer
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from tests.harness.servers import restart


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """Yield a running server of this test alone."""
    server = await RedisServer(tmp_path).start()
    yield server
    await server.stop()


async def test_each_test_has_its_own_redis_database(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0


async def test_a_restart_forgets_everything(server: RedisServer) -> None:
    async with Redis.from_url(server.address) as client:
        await client.set("live", "state")
    await restart(server)
    async with Redis.from_url(server.address) as client:
        assert await client.get("live") is None


async def test_a_full_server_refuses_writes_and_evicts_nothing(server: RedisServer) -> None:
    async with Redis.from_url(server.address) as client:
        await client.mset({"live": "state", "filler": bytes(2_000_000)})
        await client.config_set("maxmemory", "1mb")
        with pytest.raises(OutOfMemoryError):
            await client.set("more", "state")
        assert await client.get("live") == b"state"
