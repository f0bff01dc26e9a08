"""The endpoints over a real PostgreSQL and a real Redis."""

import time

import httpx
import pytest
from marketstream.settings import Settings
from redis.asyncio import Redis

from tests.integration.api.serving import FIRST, STATUS, get


async def test_no_endpoint_needs_a_parameter(filled: httpx.AsyncClient) -> None:
    for path in ("/price", "/candles", "/current-candle", "/symbols"):
        await get(filled, path)


async def test_price(filled: httpx.AsyncClient) -> None:
    response = await filled.get("/price", params={"symbol": "btcusdt", "exchange": "binance"})
    assert response.text == (
        '{"exchange":"binance","symbol":"BTCUSDT","price":"39491.76","time":1610064046.355,"trade_id":2001}'
    )


async def test_candles_are_the_newest_fifty_oldest_first(filled: httpx.AsyncClient) -> None:
    candles = await get(filled, "/candles")
    assert [candle["window_start"] for candle in candles] == list(range(FIRST + 100, FIRST + 600, 10))


async def test_a_candle(filled: httpx.AsyncClient) -> None:
    assert await get(filled, f"/candles?start={FIRST}&end={FIRST + 10}") == [
        {
            "exchange": "binance", "symbol": "BTCUSDT", "interval": "10s", "window_start": FIRST,
            "open": "39479.22", "high": "39499.98", "low": "39460.39", "close": "39491.98",
            "volume": "19.694925", "quote_volume": "777500.0187459", "taker_buy_volume": "0",
            "vwap": "39477.175909", "trade_count": 328, "first_trade_id": 1350, "last_trade_id": 1677,
            "complete": False, "incomplete_reason": "unconfirmed", "revision": 0,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("limit=1", 1),
        ("limit=1000", 60),
        (f"start={FIRST + 10}&end={FIRST + 30}", 2),
        ("interval=1m", 1),
        ("interval=1d", 0),
        ("symbol=ETHUSDT", 0),
        ("exchange=replay", 0),
        ("symbol=&exchange=&interval=10s&start=&end=&limit=50", 50),
    ],
)
async def test_the_query_selects_candles(filled: httpx.AsyncClient, query: str, count: int) -> None:
    assert len(await get(filled, f"/candles?{query}")) == count


async def test_current_candle(filled: httpx.AsyncClient) -> None:
    assert await get(filled, "/current-candle?symbol=BTCUSDT") == {
        "exchange": "binance", "symbol": "BTCUSDT", "interval": "10s", "window_start": 1610064040,
        "open": "39474.51", "high": "39503.52", "low": "39449.68", "close": "39491.76",
        "volume": "9.610447", "quote_volume": "379400.5", "taker_buy_volume": "3.1", "vwap": "39477.924388",
        "trade_count": 249, "first_trade_id": 1753, "last_trade_id": 2001,
        "complete": False, "incomplete_reason": "unconfirmed", "revision": 0,
    }  # fmt: skip


async def test_symbols_with_their_states(filled: httpx.AsyncClient, settings: Settings) -> None:
    now = f"{time.time():.6f}"
    async with Redis.from_url(settings.redis_url) as redis:
        await redis.hset(
            "stream:binance:ETHUSDT",
            mapping=STATUS
            | {
                "heard_until": now,
                "last_trade_time": now,
                "complete_from": "1610060410",
                "complete_until": "1610064040",
            },
        )
    symbols = await get(filled, "/symbols")
    assert [(s["exchange"], s["symbol"], s["state"]) for s in symbols] == [
        ("binance", "BTCUSDT", "stale"),
        ("binance", "ETHUSDT", "live"),
        ("replay", "BTCUSDT", "stale"),
    ]
    assert symbols[0] == {
        "exchange": "binance", "symbol": "BTCUSDT", "price": "39491.76", "last_trade_time": 1610064046.355,
        "heard_until": 1610064046.9, "complete_from": None, "complete_until": None, "open_holes": 0, "state": "stale",
    }  # fmt: skip
    assert (symbols[1]["complete_from"], symbols[1]["complete_until"]) == (1610060410, 1610064040)
    assert symbols[2]["price"] is None
