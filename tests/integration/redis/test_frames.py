"""Frames over a real Redis."""

import asyncio
from urllib.parse import urlsplit

from marketstream.redis.client import connect
from marketstream.redis.frames import Frame, FrameListener
from marketstream.redis.writer import LiveState, LiveWriter
from marketstream.settings import Settings

BTC = "binance", "BTCUSDT"
FENCE = 1


async def publish(redis_url: str, received_us: int) -> None:
    redis = connect(Settings(redis_url=redis_url))
    writer = LiveWriter(redis, "binance")
    assert await writer.claim({BTC: FENCE}) == {BTC: "ok"}
    frame = Frame(*BTC, received_us=received_us)
    assert await writer.write({BTC: (FENCE, LiveState({"lag": "0"}), frame)}) == {BTC: "ok"}
    await redis.aclose()


async def test_frames_of_another_database_are_not_received(redis_url: str) -> None:
    other = urlsplit(redis_url)._replace(path="/0").geturl()
    async with asyncio.timeout(10), FrameListener(Settings(redis_url=redis_url)).subscribed() as frames:
        await publish(other, 1)
        await publish(redis_url, 2)
        assert (await anext(frames)).received_us == 2
