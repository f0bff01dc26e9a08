"""The API over a real PostgreSQL and a real Redis, asked over HTTP."""

import asyncio
import signal
import sys
import time

import httpx
import pytest
from marketstream.settings import Settings
from redis.asyncio import Redis

from tests.integration.api.serving import FIRST, LIMIT_S, STREAM, get, problem


async def test_the_original_four_calls_need_no_argument(filled: httpx.AsyncClient) -> None:
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
async def test_the_query_chooses(filled: httpx.AsyncClient, query: str, count: int) -> None:
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
            mapping=STREAM | {"heard_until": now, "last_trade_time": now, "complete_until": "1610064040"},
        )
    symbols = await get(filled, "/symbols")
    assert [(s["exchange"], s["symbol"], s["state"]) for s in symbols] == [
        ("binance", "BTCUSDT", "stale"),
        ("binance", "ETHUSDT", "live"),
        ("replay", "BTCUSDT", "stale"),
    ]
    assert symbols[0] == {
        "exchange": "binance", "symbol": "BTCUSDT", "price": "39491.76", "last_trade_time": 1610064046.355,
        "heard_until": 1610064046.9, "complete_until": None, "open_holes": 0, "state": "stale",
    }  # fmt: skip
    assert symbols[1]["complete_until"] == 1610064040
    assert symbols[2]["price"] is None


@pytest.mark.parametrize(
    ("query", "parameter", "given", "expected"),
    [
        ("limit=0", "limit", "0", "greater than or equal to 1"),
        ("limit=1001", "limit", "1001", "less than or equal to 1000"),
        ("limit=many", "limit", "many", "a valid integer"),
        ("limit=1.5", "limit", "1.5", "a valid integer"),
        ("interval=7m", "interval", "7m", "'10s', '1m', '5m', '15m', '1h', '4h' or '1d'"),
        ("start=soon", "start", "soon", "a valid integer"),
        ("end=-1", "end", "-1", "greater than or equal to 0"),
        ("start=1610064000000", "start", "1610064000000", "less than or equal to 253402300799"),
        ("start=20&end=20", "start", "20", "less than end, which is 20"),
        ("sybmol=X", "sybmol", "X", "one of the parameters symbol, exchange, interval, start, end, limit"),
    ],
)
async def test_a_bad_query_says_what_was_expected(
    filled: httpx.AsyncClient, query: str, parameter: str, given: str, expected: str
) -> None:
    body = await problem(filled, f"/candles?{query}", 422, "invalid-query")
    assert body["errors"] == [{"parameter": parameter, "given": given, "expected": expected}]
    assert body["detail"] == f"{parameter} is {given!r}: expected {expected}"


async def test_every_bad_parameter_is_named(filled: httpx.AsyncClient) -> None:
    body = await problem(filled, "/candles?limit=0&interval=x&start=y", 422, "invalid-query")
    assert {error["parameter"] for error in body["errors"]} == {"limit", "interval", "start"}


@pytest.mark.parametrize("path", ["/price?limit=1", "/current-candle?interval=1m", "/symbols?x=1"])
async def test_a_parameter_that_another_endpoint_has_is_refused(filled: httpx.AsyncClient, path: str) -> None:
    await problem(filled, path, 422, "invalid-query")


@pytest.mark.parametrize("path", ["/price", "/candles", "/current-candle"])
async def test_an_unknown_symbol_or_exchange(filled: httpx.AsyncClient, path: str) -> None:
    body = await problem(filled, f"{path}?symbol=NOPE", 404, "unknown-symbol")
    assert "Known symbols: BTCUSDT, ETHUSDT" in body["detail"]
    body = await problem(filled, f"{path}?exchange=nope", 404, "unknown-exchange")
    assert "Known exchanges: binance, replay" in body["detail"]


async def test_a_known_symbol_of_which_nothing_was_heard(filled: httpx.AsyncClient) -> None:
    await problem(filled, "/price?symbol=ETHUSDT", 404, "no-price")
    await problem(filled, "/current-candle?symbol=ETHUSDT", 404, "no-open-candle")


async def test_unknown_paths_and_methods(filled: httpx.AsyncClient) -> None:
    await problem(filled, "/nope", 404, "not-found")
    response = await filled.post("/price")
    assert (response.status_code, response.headers["allow"]) == (405, "GET")
    assert response.json()["type"] == "urn:marketstream:problem:method-not-allowed"


async def test_head_and_any_origin_are_welcome(filled: httpx.AsyncClient) -> None:
    response = await filled.head("/symbols", headers={"Origin": "https://example.org"})
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["access-control-allow-origin"] == "*"
    preflight = {"Origin": "https://example.org", "Access-Control-Request-Method": "GET"}
    assert (await filled.options("/candles", headers=preflight)).status_code == 200


async def test_docs_health_and_metrics(filled: httpx.AsyncClient) -> None:
    assert "swagger" in (await filled.get("/docs")).text
    assert (await filled.get("/healthz")).text == "ok\n"
    await get(filled, "/price")
    await filled.get("/made/up/by/a/client")
    metrics = (await filled.get("/metrics")).text
    assert 'marketstream_api_requests_total{method="GET",route="/price",status="200"}' in metrics
    assert 'marketstream_api_requests_total{method="GET",route="unmatched",status="404"}' in metrics
    assert 'marketstream_api_request_seconds_bucket{le="0.005",route="/price"}' in metrics


async def test_a_hash_that_no_processor_wrote_is_a_problem(filled: httpx.AsyncClient, settings: Settings) -> None:
    async with Redis.from_url(settings.redis_url) as redis:
        await redis.hset("binance:BTCUSDT:current_candle", "window_start", "soon")
    body = await problem(filled, "/current-candle", 503, "store-away")
    assert "binance:BTCUSDT:current_candle" in body["detail"]


async def test_the_process_stops_in_good_order(settings: Settings) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "marketstream", "api", env=settings.to_environment(), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(LIMIT_S):
        while b"API started" not in (line := await process.stderr.readline()):
            assert line, "the process ended"
        process.send_signal(signal.SIGTERM)
        assert b"Traceback" not in await process.stderr.read()
        assert await process.wait() == 0
