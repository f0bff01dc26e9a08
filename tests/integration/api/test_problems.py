"""Problems as responses."""

import httpx
import pytest
from marketstream.settings import Settings
from redis.asyncio import Redis

from tests.harness.acl import logged_in, rules
from tests.integration.api.serving import get, problem, ready, running, until


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


@pytest.mark.parametrize("foreign", ["type", "field"])
async def test_a_foreign_status_hides_no_other_symbol(
    filled: httpx.AsyncClient, settings: Settings, foreign: str
) -> None:
    before = await get(filled, "/symbols")
    async with Redis.from_url(settings.redis_url) as redis:
        if foreign == "type":
            await redis.delete("stream:binance:BTCUSDT")
            await redis.rpush("stream:binance:BTCUSDT", "somebody else's")
        else:
            await redis.hset("stream:binance:BTCUSDT", "heard_until", "soon")
    body = await problem(filled, "/price", 503, "store-away")
    assert "stream:binance:BTCUSDT" in body["detail"]
    listed = await get(filled, "/symbols")
    assert listed[0] == dict.fromkeys(before[0]) | {
        "exchange": "binance", "symbol": "BTCUSDT", "open_holes": 0, "state": "stale",
    }  # fmt: skip
    assert listed[1:] == before[1:]


async def test_a_status_that_may_not_be_read_is_a_problem(
    filled: httpx.AsyncClient, settings: Settings, redis_url: str
) -> None:
    fewer = [rule for rule in rules("API") if rule != "~stream:*"]
    async with (
        logged_in(redis_url, "api", *fewer) as (limited, _),
        running(settings.but(redis_url=limited.redis_url)) as client,
    ):
        await until(lambda: ready(client))
        for path in ("/symbols", "/price"):
            body = await problem(client, path, 503, "store-away")
            assert "Redis refuses HGETALL stream:binance:BTCUSDT" in body["detail"]
