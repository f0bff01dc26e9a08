"""Users of Redis who may do what docs/reference/redis.md lists, and no more."""

import asyncio

import pytest
from marketstream.redis.budget import Budget
from marketstream.redis.frames import Frame, FrameListener
from marketstream.redis.keys import Keys
from marketstream.redis.reader import LiveReader
from marketstream.redis.writer import LiveState, LiveWriter
from redis.asyncio import Redis

from tests.harness.acl import logged_in, rules
from tests.harness.clients import within

OURS, THEIRS = ("binance", "BTCUSDT"), ("binance", "ETHUSDT")
LIMIT_S = 15


async def publish(redis: Redis, *, foreign: str) -> None:
    """Write two symbols, of which one has a key of another type."""
    writer = LiveWriter(redis, "binance")
    assert await writer.fences([OURS]) == [0]
    await writer.claim(dict.fromkeys((OURS, THEIRS), 3))
    candle = {"fence": "3", "window_start": "10", "revision": "0", "trade_count": "1"}
    state = LiveState({"lag": "0"}, "1.5", "7", "10.5", candle, candle)
    for _ in range(2):
        written = await writer.write({symbol: (3, state, Frame(*symbol)) for symbol in (OURS, THEIRS)})
        assert written == {OURS: "ok", THEIRS: foreign}


async def test_a_processor_needs_no_more_than_the_document_says(
    redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Redis.from_url(redis_url) as other:
        await other.rpush(Keys.of(*THEIRS).current_candle, "somebody else's")
    async with logged_in(redis_url, "processor", *rules("processor")) as (_, redis):
        await publish(redis, foreign="foreign")
        assert await redis.type("binance:ETHUSDT:current_candle") == "list"
        await Budget(redis).acquire(1)
    assert "request weight not shared" not in capsys.readouterr().out


async def test_a_key_whose_type_may_not_be_read_stops_its_symbol_only(
    redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Redis.from_url(redis_url) as other:
        await other.rpush(Keys.of(*THEIRS).current_candle, "somebody else's")
    given = [rule for rule in rules("processor") if rule != "+type"]
    async with logged_in(redis_url, "processor", *given) as (_, redis):
        await publish(redis, foreign="foreign")
    assert "'binance:ETHUSDT:current_candle': 'unknown'" in capsys.readouterr().out


async def test_a_producer_needs_no_more_than_the_document_says(
    redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with logged_in(redis_url, "producer", *rules("producer")) as (_, redis):
        budget = Budget(redis)
        await budget.acquire(1)
        await budget.beside("connections", limit=300, period_s=300).acquire(1)
        await budget.stop(0.01)
    assert "request weight not shared" not in capsys.readouterr().out


async def test_an_api_needs_no_more_than_the_document_says(redis_url: str) -> None:
    async with Redis.from_url(redis_url, decode_responses=True) as admin:

        async def pinged() -> None:
            clients = await admin.client_list()
            assert [client["cmd"] for client in clients if client["name"] == "marketstream-frames"] == ["ping"]

        async with logged_in(redis_url, "api", *rules("API")) as (settings, redis):
            async with FrameListener(settings, silence_s=0.1).subscribed() as frames:
                coming = asyncio.ensure_future(anext(frames))
                await within(LIMIT_S, pinged)
                await publish(admin, foreign="ok")
                async with asyncio.timeout(LIMIT_S):
                    assert (await coming).symbol == OURS[1]
            reader = LiveReader(redis)
            assert [status and status.price for status in await reader.statuses([OURS])] == ["1.5"]
            assert [live.price for live in await reader.live([("binance", "UNKNOWN")])] == [None]
