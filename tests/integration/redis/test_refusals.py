"""A real Redis that refuses: each refusal is an outage, said in one line, and passes when it is lifted."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from marketstream.local.loopback import free_port
from marketstream.local.redis import RedisServer
from marketstream.redis.budget import Budget
from marketstream.redis.client import check_server, connect
from marketstream.redis.errors import LiveStoreRefusedError, LiveStoreUnavailableError
from marketstream.redis.frames import Frame, FrameListener
from marketstream.redis.reader import LiveReader
from marketstream.redis.writer import LiveState, LiveWriter
from marketstream.settings import Settings
from redis.asyncio import Redis

from tests.harness.acl import logged_in, rules
from tests.harness.clients import within

SYMBOL = ("binance", "BTCUSDT")
LIMIT_S = 15


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    started = RedisServer(tmp_path)
    await started.start()
    yield started
    await started.stop()


@pytest.fixture
async def admin(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.address, decode_responses=True) as client:
        yield client


async def publish(redis: Redis) -> None:
    live = LiveWriter(redis, "binance")
    await live.claim({SYMBOL: 1})
    state = LiveState(status={"lag": "0"}, price="1", price_id="1", price_time="1")
    assert await live.write({SYMBOL: (1, state, Frame(*SYMBOL))}) == {SYMBOL: "ok"}


@pytest.mark.parametrize(
    ("refuse", "lift", "said"),
    [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "maxmemory"),
        ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0", "NOREPLICAS"),
        ("ACL SETUSER default -evalsha", "ACL SETUSER default +evalsha", "refuses a command to the user of REDIS_URL"),
    ],
)
async def test_refused_writes_are_an_outage_of_the_writer_only(
    server: RedisServer, admin: Redis, refuse: str, lift: str, said: str
) -> None:
    redis = connect(Settings(redis_url=server.address))
    try:
        await publish(redis)
        await admin.execute_command(*refuse.split())
        with pytest.raises(LiveStoreUnavailableError, match=said) as refused:
            await publish(redis)
        assert "\n" not in str(refused.value)
        assert [live.price for live in await LiveReader(redis).live([SYMBOL])] == ["1"]
        await Budget(redis).acquire(1)  # its own share
        await admin.execute_command(*lift.split())
        await publish(redis)
    finally:
        await redis.aclose()


async def test_a_replica_without_its_primary_is_an_outage(server: RedisServer, admin: Redis) -> None:
    redis = connect(Settings(redis_url=server.address))
    try:
        await publish(redis)
        await admin.config_set("replica-serve-stale-data", "no")
        await admin.execute_command("REPLICAOF", "127.0.0.1", free_port())
        with pytest.raises(LiveStoreUnavailableError, match="the server is a replica now") as refused:
            await LiveReader(redis).live([SYMBOL])
        assert "\n" not in str(refused.value)
        await admin.execute_command("REPLICAOF", "NO", "ONE")
        assert [live.price for live in await LiveReader(redis).live([SYMBOL])] == ["1"]
    finally:
        await redis.aclose()


async def test_a_changed_password_is_an_outage_and_is_tried_once(server: RedisServer, admin: Redis) -> None:
    async with logged_in(server.address, "api", *rules("API")) as (settings, redis):
        await admin.execute_command("ACL", "SETUSER", "api", "resetpass", ">changed")
        await redis.connection_pool.disconnect()
        before = await _refused_logins(admin)
        with pytest.raises(LiveStoreUnavailableError, match="Redis refuses the login of REDIS_URL: ") as refused:
            await LiveReader(redis).ping()
        assert "\n" not in str(refused.value)
        assert await _refused_logins(admin) == before + 1
        with pytest.raises(LiveStoreUnavailableError, match="Redis refuses the login of REDIS_URL: "):
            async with FrameListener(settings).subscribed():
                pass
        await check_server(redis)
        await admin.execute_command("ACL", "SETUSER", "api", ">secret")
        await within(LIMIT_S, LiveReader(redis).ping)


async def _refused_logins(admin: Redis) -> int:
    return int((await admin.info("stats"))["acl_access_denied_auth"])


async def test_a_missing_login_is_an_outage(server: RedisServer, admin: Redis) -> None:
    redis = connect(Settings(redis_url=server.address))
    await admin.config_set("requirepass", "secret")
    with pytest.raises(LiveStoreUnavailableError, match="Redis refuses the login of REDIS_URL: ") as refused:
        await LiveReader(redis).ping()
    assert "\n" not in str(refused.value)
    await redis.aclose()


async def test_a_database_that_does_not_exist_ends_a_start(server: RedisServer) -> None:
    url = urlsplit(server.address)._replace(path="/9999").geturl()
    redis = connect(Settings(redis_url=url))
    with pytest.raises(LiveStoreRefusedError, match="REDIS_URL names a database that Redis does not have"):
        await check_server(redis)
    await redis.aclose()
