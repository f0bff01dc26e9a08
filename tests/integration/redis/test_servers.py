"""Kinds of Redis: behind one address, behind Sentinels, and as a cluster, which is refused."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from marketstream.api.main import run_api
from marketstream.local.loopback import free_port
from marketstream.local.redis import RedisServer
from marketstream.redis.budget import Budget
from marketstream.redis.client import ANSWER_S, CONNECT_S, check_server, connect
from marketstream.redis.errors import LiveStoreError, LiveStoreRefusedError, LiveStoreUnavailableError
from marketstream.redis.frames import Frame, FrameListener
from marketstream.redis.reader import LiveReader
from marketstream.redis.writer import LiveState, LiveWriter
from marketstream.settings import Settings
from redis.asyncio import Redis

from tests.harness.address import Address
from tests.harness.clients import within

SYMBOL = ("binance", "BTCUSDT")
FAILOVER_S = 60.0


class Cluster(RedisServer):
    """A server of a Redis Cluster."""

    def command(self) -> Sequence[str | Path]:
        return [*super().command(), "--cluster-enabled", "yes"]


class SentinelServer(RedisServer):
    """A Sentinel that watches the primary at a port and replaces it soon after it is gone."""

    def __init__(self, directory: Path, primary_port: int) -> None:
        super().__init__(directory)
        self._primary_port = primary_port

    def command(self) -> Sequence[str | Path]:
        config = self.home / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.home}\n"
            f"sentinel monitor mymaster 127.0.0.1 {self._primary_port} 1\n"
            "sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 5000\n"
        )
        return [super().command()[0], config, "--sentinel"]


@contextlib.asynccontextmanager
async def started(*servers: RedisServer) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        for server in servers:
            await server.start()
            stack.push_async_callback(server.stop)
        yield


def folder(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    path.mkdir()
    return path


async def write(redis: Redis, price: str) -> None:
    """Claim the symbol and write a price. Raises LiveStoreError, or AssertionError if the write is refused."""
    live = LiveWriter(redis, "binance")
    assert (await live.claim({SYMBOL: 1}))[SYMBOL] == "ok"
    state = LiveState(status={"lag": "0"}, price=price, price_id=price, price_time="1")
    assert (await live.write({SYMBOL: (1, state, Frame(*SYMBOL))}))[SYMBOL] == "ok"


async def follow(replica: RedisServer, primary: RedisServer) -> None:
    async with Redis(host="127.0.0.1", port=replica.port) as client:
        await client.execute_command("REPLICAOF", "127.0.0.1", primary.port)


async def test_a_primary_that_becomes_a_replica_is_left_for_its_successor(tmp_path: Path) -> None:
    one, two = RedisServer(folder(tmp_path, "one")), RedisServer(folder(tmp_path, "two"))
    async with started(one, two):
        address = Address(one.port)
        async with address.served() as url:
            redis = connect(Settings(redis_url=url))
            try:
                await write(redis, "1")
                await follow(one, two)
                address.port = two.port
                await within(FAILOVER_S, lambda: write(redis, "2"))
                async with Redis(host="127.0.0.1", port=two.port, decode_responses=True) as primary:
                    assert await primary.get("binance:BTCUSDT:price") == "2"
            finally:
                await redis.aclose()


async def test_sentinels_lead_to_the_primary_and_to_its_successor(tmp_path: Path) -> None:
    one, two = RedisServer(folder(tmp_path, "one")), RedisServer(folder(tmp_path, "two"))
    async with started(one, two):
        await follow(two, one)
        sentinel = SentinelServer(folder(tmp_path, "sentinel"), one.port)
        async with started(sentinel):
            nobody = free_port()
            url = f"redis+sentinel://127.0.0.1:{nobody},127.0.0.1:{sentinel.port}/mymaster/0"
            settings = Settings.from_environment({"REDIS_URL": url})
            redis = connect(settings)
            try:
                await within(FAILOVER_S, lambda: write(redis, "1"))
                await within(FAILOVER_S, lambda: _knows_replica(sentinel))
                await one.stop()
                await within(FAILOVER_S, lambda: write(redis, "2"))
                live = await LiveReader(redis).live([SYMBOL])
                assert live[0].price == "2"
                await _hears_a_frame(settings, redis)
            finally:
                await redis.aclose()


async def test_sentinels_that_never_answer_do_not_hide_the_one_that_does(tmp_path: Path) -> None:
    one = RedisServer(folder(tmp_path, "one"))
    async with started(one):
        sentinel = SentinelServer(folder(tmp_path, "sentinel"), one.port)
        async with started(sentinel), silent() as first, silent() as second:
            hosts = ",".join(f"127.0.0.1:{port}" for port in (first, second, sentinel.port))
            budget = Budget(connect(Settings(redis_url=f"redis+sentinel://{hosts}/mymaster/0")))
            async with Redis(host="127.0.0.1", port=one.port) as primary:
                try:
                    await budget.acquire(1)
                    assert await primary.exists("budget:binance"), "the weight was not taken from the shared budget"
                finally:
                    await budget.close()


async def test_sentinels_that_do_not_answer_are_told_in_one_line() -> None:
    nobody = free_port()
    async with silent() as port:
        hosts = f"127.0.0.1:{nobody},127.0.0.1:{port}"
        redis = connect(Settings(redis_url=f"redis+sentinel://:secret@{hosts}/mymaster/0"))
        with pytest.raises(LiveStoreUnavailableError) as caught:
            await LiveReader(redis).ping()
        await redis.aclose()
    said = str(caught.value)
    assert said.startswith("Redis is unavailable: no Sentinel names a primary mymaster (127.0.0.1:")
    assert f"127.0.0.1:{port}: Timeout reading from 127.0.0.1:{port}" in said
    assert f"127.0.0.1:{nobody}: Error 111 connecting to 127.0.0.1:{nobody}" in said
    assert ("secret" in said, "\n" in said, "<" in said) == (False, False, False)


async def test_a_server_that_is_no_sentinel_does_not_hide_the_others(tmp_path: Path) -> None:
    one = RedisServer(folder(tmp_path, "one"))
    async with started(one):
        sentinel = SentinelServer(folder(tmp_path, "sentinel"), one.port)
        async with started(sentinel):
            hosts = f"127.0.0.1:{one.port},127.0.0.1:{sentinel.port}"
            redis = connect(Settings(redis_url=f"redis+sentinel://{hosts}/mymaster/0"))
            await within(FAILOVER_S, lambda: write(redis, "1"))
            await redis.aclose()
            redis = connect(Settings(redis_url=f"redis+sentinel://{hosts}/other/0"))
            with pytest.raises(LiveStoreUnavailableError, match="no Sentinel names a primary other") as caught:
                await LiveReader(redis).ping()
            assert f"127.0.0.1:{sentinel.port}: unknown" in str(caught.value)
            await redis.aclose()


@contextlib.asynccontextmanager
async def silent() -> AsyncIterator[int]:
    """Listen on a port, accept connections and never answer."""
    ended = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        ended.set()


async def _knows_replica(sentinel: RedisServer) -> None:
    async with Redis(host="127.0.0.1", port=sentinel.port, decode_responses=True) as client:
        replicas = await client.execute_command("SENTINEL", "REPLICAS", "mymaster")
        assert replicas
        assert "ok" in str(replicas)


async def _hears_a_frame(settings: Settings, redis: Redis) -> None:
    async with asyncio.timeout(FAILOVER_S), FrameListener(settings).subscribed() as frames:
        await write(redis, "3")
        frame = await anext(frames)
        assert (frame.exchange, frame.symbol) == SYMBOL


async def test_a_cluster_is_refused_with_a_clear_message(tmp_path: Path) -> None:
    cluster = Cluster(folder(tmp_path, "cluster"))
    async with started(cluster):
        settings = Settings(redis_url=cluster.address, database_url="postgresql://nobody@127.0.0.1:1/none")
        redis = connect(settings)
        try:
            with pytest.raises(
                LiveStoreRefusedError, match=r"REDIS_URL cannot be used: it is a Redis Cluster"
            ) as found:
                await check_server(redis)
            assert "\n" not in str(found.value)
        finally:
            await redis.aclose()
        with pytest.raises(LiveStoreRefusedError):
            async with asyncio.timeout(FAILOVER_S):
                await run_api(settings, asyncio.Event())


async def test_an_unreachable_redis_is_retried() -> None:
    redis = connect(Settings(redis_url=f"redis://127.0.0.1:{free_port()}/0"))
    await check_server(redis)
    with pytest.raises(LiveStoreError):
        await LiveReader(redis).ping()
    await redis.aclose()


async def test_the_check_of_a_silent_redis_ends_soon() -> None:
    async with silent() as port:
        redis = connect(Settings(redis_url=f"redis://127.0.0.1:{port}/0"))
        started = time.monotonic()
        await check_server(redis)
        assert time.monotonic() - started < 1.5 * (CONNECT_S + ANSWER_S)
        await redis.aclose()
