"""The API as tests run it, requests to it, and the live state of one symbol."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import httpx
from marketstream.api.main import run_api
from marketstream.service import Health
from marketstream.settings import Settings
from redis.asyncio import Redis

FIRST = 1610064000
"""Start of the first window, Unix seconds."""

LIMIT_S = 30
"""Seconds for which a test waits for what must come."""

SOON_S = 9
"""Seconds for what may take 3, which is what a store has for an answer."""

OPEN_CANDLE: dict[Any, Any] = {
    "exchange": "binance", "symbol": "BTCUSDT", "interval": "10s", "window_start": "1610064040",
    "open": "39474.51", "high": "39503.52", "low": "39449.68", "close": "39491.76",
    "volume": "9.610447", "quote_volume": "379400.5", "taker_buy_volume": "3.1", "trade_count": "249",
    "first_trade_id": "1753", "last_trade_id": "2001", "complete": "false", "incomplete_reason": "unconfirmed",
    "revision": "0", "fence": "3",
}  # fmt: skip

STATUS: dict[Any, Any] = {
    "price": "39491.76", "price_id": "2001", "price_time": "1610064046.355",
    "last_trade_time": "1610064046.355", "last_trade_id": "2001", "complete_from": "",
    "complete_until": "", "heard_until": "1610064046.9",
    "lag": "0", "open_holes": "0", "backfilling": "0", "fence": "3", "updated_at": "1610064047",
}  # fmt: skip


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Run the API with these settings, and yield an HTTP client for it."""
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(run_api(settings, stop, on_serving=port.set_result, health=Health()))
    try:
        await asyncio.wait([task, port], timeout=LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port.result()}", timeout=LIMIT_S) as client:
            yield client
    finally:
        stop.set()
        async with asyncio.timeout(LIMIT_S):
            await task


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for the condition."""
    async with asyncio.timeout(LIMIT_S):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.05)


async def ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 200


async def fill_redis(settings: Settings) -> None:
    async with Redis.from_url(settings.redis_url) as redis:
        await redis.set("binance:BTCUSDT:price", "39491.76")
        await redis.hset("binance:BTCUSDT:current_candle", mapping=OPEN_CANDLE)
        await redis.hset("stream:binance:BTCUSDT", mapping=STATUS)


async def get(client: httpx.AsyncClient, path: str) -> Any:
    response = await client.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


async def problem(client: httpx.AsyncClient, path: str, status: int, kind: str) -> dict[str, Any]:
    response = await client.get(path)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = cast("dict[str, Any]", response.json())
    assert (body["status"], body["type"]) == (status, f"urn:marketstream:problem:{kind}")
    assert body["title"]
    assert body["detail"]
    return body


async def away(client: httpx.AsyncClient, store: str) -> bool:
    response = await client.get("/readyz")
    return response.status_code == 503 and response.text.startswith(f"{store}:")
