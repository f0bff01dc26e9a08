"""Reads of the live state from a real Redis."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from marketstream.redis.client import connect
from marketstream.redis.errors import LiveStoreContentError, LiveStoreUnavailableError
from marketstream.redis.hashes import LiveStatus
from marketstream.redis.reader import Live, LiveReader
from marketstream.settings import Settings
from redis.asyncio import Redis

BTC, ETH = ("binance", "BTCUSDT"), ("binance", "ETHUSDT")

CANDLE: dict[Any, Any] = {
    "exchange": "binance", "symbol": "BTCUSDT", "interval": "10s", "window_start": "1610064040",
    "open": "1.5", "high": "2", "low": "1", "close": "1.75", "volume": "3", "quote_volume": "4.5",
    "taker_buy_volume": "0", "trade_count": "2", "first_trade_id": "1", "last_trade_id": "2",
    "complete": "true", "incomplete_reason": "", "revision": "1", "fence": "3",
}  # fmt: skip


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = connect(Settings(redis_url=redis_url))
    yield client
    await client.aclose()


async def test_missing_hashes_are_none(redis: Redis) -> None:
    assert await LiveReader(redis).live([BTC]) == [Live(None, None, None, None)]
    assert await LiveReader(redis).statuses([BTC, ETH]) == [None, None]
    assert await LiveReader(redis).statuses([]) == []


async def test_the_live_state_of_symbols_is_returned_in_the_order_requested(redis: Redis) -> None:
    await redis.set("binance:BTCUSDT:price", "1.75")
    await redis.hset("binance:BTCUSDT:last_candle", mapping=CANDLE)
    await redis.hset("stream:binance:ETHUSDT", mapping={"heard_until": "1610064046.5", "backfilling": "1"})
    eth, btc = await LiveReader(redis).live([ETH, BTC])
    assert (eth.price, eth.status) == (None, LiveStatus(heard_until=1610064046.5, backfilling=True))
    assert (btc.price, btc.current_candle, btc.status) == ("1.75", None, None)
    assert btc.last_candle is not None
    assert (btc.last_candle.open, btc.last_candle.window_start) == ("1.5", 1610064040)
    assert (btc.last_candle.complete, btc.last_candle.incomplete_reason) == (True, None)


@pytest.mark.parametrize("changes", [{"trade_count": "many"}, {"open": ""}, {"complete": "perhaps"}])
async def test_a_hash_that_no_processor_wrote_is_refused(redis: Redis, changes: dict[str, str]) -> None:
    await redis.hset("binance:BTCUSDT:current_candle", mapping=CANDLE | changes)
    with pytest.raises(LiveStoreContentError, match="the hash binance:BTCUSDT:current_candle in Redis"):
        await LiveReader(redis).live([BTC])


async def test_a_key_of_another_type_is_refused(redis: Redis) -> None:
    await redis.set("stream:binance:BTCUSDT", "text")
    with pytest.raises(LiveStoreContentError, match="WRONGTYPE"):
        await LiveReader(redis).statuses([BTC])


async def test_an_unreachable_redis_is_unavailable_soon() -> None:
    client = connect(Settings(redis_url="redis://127.0.0.1:1/0"))
    begun = time.monotonic()
    with pytest.raises(LiveStoreUnavailableError, match="Redis is unavailable"):
        await LiveReader(client).ping()
    assert time.monotonic() - begun < 3
    await client.aclose()
