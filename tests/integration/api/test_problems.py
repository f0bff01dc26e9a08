"""Problems as responses."""

import httpx
import pytest
from marketstream.settings import Settings
from redis.asyncio import Redis

from tests.integration.api.serving import problem


@pytest.mark.parametrize("path", ["/price", "/candles", "/current-candle"])
async def test_an_unknown_symbol_or_exchange(filled: httpx.AsyncClient, path: str) -> None:
    body = await problem(filled, f"{path}?symbol=NOPE", 404, "unknown-symbol")
    assert "Known symbols: BTCUSDT, ETHUSDT" in body["detail"]
    body = await problem(filled, f"{path}?exchange=nope", 404, "unknown-exchange")
    assert "Known exchanges: binance, replay" in body["detail"]


async def test_a_known_symbol_without_data(filled: httpx.AsyncClient) -> None:
    await problem(filled, "/price?symbol=ETHUSDT", 404, "no-price")
    await problem(filled, "/current-candle?symbol=ETHUSDT", 404, "no-open-candle")


async def test_unknown_paths_and_methods(filled: httpx.AsyncClient) -> None:
    await problem(filled, "/nope", 404, "not-found")
    response = await filled.post("/price")
    assert (response.status_code, response.headers["allow"]) == (405, "GET")
    assert response.json()["type"] == "urn:marketstream:problem:method-not-allowed"


async def test_an_invalid_hash_is_a_problem(filled: httpx.AsyncClient, settings: Settings) -> None:
    async with Redis.from_url(settings.redis_url) as redis:
        await redis.hset("binance:BTCUSDT:current_candle", "window_start", "soon")
    body = await problem(filled, "/current-candle", 503, "store-away")
    assert "binance:BTCUSDT:current_candle" in body["detail"]
