"""The API over a real PostgreSQL and a real Redis, asked over HTTP."""

import asyncio
import contextlib
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from marketstream.api.main import run_api
from marketstream.local.postgres import PostgresServer
from marketstream.local.redis import RedisServer
from marketstream.service import Health
from marketstream.settings import Settings
from redis.asyncio import Redis

from tests.integration.stores.rows import add_candles, add_symbol

FIRST = 1610064000
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

STREAM: dict[Any, Any] = {
    "price": "39491.76", "price_id": "2001", "price_time": "1610064046.355",
    "last_trade_time": "1610064046.355", "last_trade_id": "2001", "complete_until": "", "heard_until": "1610064046.9",
    "lag": "0", "open_holes": "0", "backfilling": "0", "fence": "3", "updated_at": "1610064047",
}  # fmt: skip


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The API with these settings, and a client of it."""
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
    """Waits for the condition."""
    async with asyncio.timeout(LIMIT_S):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.05)


async def ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 200


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url, http_host="127.0.0.1", http_port=0)


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A ready API over empty stores."""
    async with running(settings) as client:
        await until(lambda: ready(client))
        yield client


@pytest.fixture
async def filled(api: httpx.AsyncClient, settings: Settings) -> httpx.AsyncClient:
    """An API over two symbols of Binance and one of a replay; BTCUSDT has 60 closed candles and an open one."""
    connection = await asyncpg.connect(settings.database_url)
    for exchange, symbol in (("binance", "ETHUSDT"), ("binance", "BTCUSDT"), ("replay", "BTCUSDT")):
        await add_symbol(connection, exchange, symbol, FIRST + 600)
    marked = {"window_start": FIRST, "complete": False, "incomplete_reason": "unconfirmed"}
    await add_candles(connection, marked, *({"window_start": FIRST + 10 * n} for n in range(1, 60)))
    await add_candles(connection, {"window_start": FIRST}, {"window_start": FIRST + 600}, table="candles_1m")
    await connection.close()
    await fill_redis(settings)
    return api


async def fill_redis(settings: Settings) -> None:
    async with Redis.from_url(settings.redis_url) as redis:
        await redis.set("binance:BTCUSDT:price", "39491.76")
        await redis.hset("binance:BTCUSDT:current_candle", mapping=OPEN_CANDLE)
        await redis.hset("stream:binance:BTCUSDT", mapping=STREAM)


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
    assert "known are BTCUSDT, ETHUSDT" in body["detail"]
    body = await problem(filled, f"{path}?exchange=nope", 404, "unknown-exchange")
    assert "known are binance, replay" in body["detail"]


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


async def test_redis_away_and_back(filled: httpx.AsyncClient, settings: Settings, redis_server: RedisServer) -> None:
    redis_server.pause()
    try:
        begun = time.monotonic()
        body = await problem(filled, "/price", 503, "store-away")
        assert time.monotonic() - begun < SOON_S
        assert "Redis is away" in body["detail"]
        assert (await filled.get("/price")).headers["retry-after"] == "2"
        await until(lambda: away(filled, "redis"))
        assert len(await get(filled, "/candles")) == 50
    finally:
        redis_server.resume()
    await until(lambda: ready(filled))
    await get(filled, "/price")


async def test_postgresql_killed_and_restarted(filled: httpx.AsyncClient, postgres: PostgresServer) -> None:
    await get(filled, "/price")
    await postgres.kill()
    try:
        body = await problem(filled, "/candles", 503, "store-away")
        assert "PostgreSQL is away" in body["detail"]
        await until(lambda: away(filled, "postgresql"))
        await get(filled, "/price")  # a known symbol needs Redis only
    finally:
        await postgres.start()
    await until(lambda: ready(filled))
    assert len(await get(filled, "/candles")) == 50


async def test_postgresql_frozen(filled: httpx.AsyncClient, postgres: PostgresServer) -> None:
    postgres.pause()
    try:
        begun = time.monotonic()
        await problem(filled, "/candles", 503, "store-away")
        assert time.monotonic() - begun < SOON_S
    finally:
        postgres.resume()
    await until(lambda: ready(filled))
    assert len(await get(filled, "/candles")) == 50


async def test_a_frozen_database_does_not_hold_up_the_stop(settings: Settings, postgres: PostgresServer) -> None:
    try:
        async with running(settings) as client:
            await until(lambda: ready(client))
            postgres.pause()
            await until(lambda: away(client, "postgresql"))
            begun = time.monotonic()
        assert time.monotonic() - begun < SOON_S
    finally:
        postgres.resume()


async def away(client: httpx.AsyncClient, store: str) -> bool:
    response = await client.get("/readyz")
    return response.status_code == 503 and response.text.startswith(f"{store}:")


async def test_stores_that_are_away_at_the_start_are_waited_for() -> None:
    settings = Settings(
        database_url="postgresql://nobody@127.0.0.1:1/nothing", redis_url="redis://127.0.0.1:1/0",
        http_host="127.0.0.1", http_port=0,
    )  # fmt: skip
    async with running(settings) as client:
        assert (await client.get("/healthz")).status_code == 200
        await until(lambda: away(client, "postgresql"))
        assert "redis:" in (await client.get("/readyz")).text
        await problem(client, "/candles", 503, "store-away")


async def says(client: httpx.AsyncClient, text: str) -> bool:
    """Whether readiness says why PostgreSQL is of no use."""
    return await away(client, "postgresql") and text in (await client.get("/readyz")).text


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_database_that_is_made_after_the_start(settings: Settings) -> None:
    late = f"{settings.database_url}_late"
    name = urlsplit(late).path[1:]
    try:
        async with running(replace(settings, database_url=late)) as client:
            await until(lambda: says(client, f'PostgreSQL refuses DATABASE_URL: database "{name}" does not exist'))
            await execute(settings.database_url, f"CREATE DATABASE {name}")
            await until(lambda: ready(client))
            assert await get(client, "/symbols") == []
    finally:
        await execute(settings.database_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
async def user(postgres: PostgresServer) -> AsyncIterator[str]:
    """A user of PostgreSQL who may connect, and no more."""
    name = f"test_{uuid.uuid4().hex}"
    await execute(postgres.address, f"CREATE ROLE {name} LOGIN PASSWORD 'right'")
    yield name
    await execute(postgres.address, f"DROP ROLE {name}")


async def test_a_user_who_is_let_in_after_the_start(user: str, settings: Settings) -> None:
    parts = urlsplit(settings.database_url)
    theirs = parts._replace(netloc=f"{user}:wrong@{parts.hostname}:{parts.port}").geturl()
    async with running(replace(settings, database_url=theirs)) as client:
        await until(lambda: says(client, "password authentication failed"))
        await execute(settings.database_url, f"ALTER ROLE {user} PASSWORD 'wrong'")
        await until(lambda: says(client, "permission denied for schema public"))
        await execute(settings.database_url, f"GRANT CREATE ON SCHEMA public TO {user}")
        await until(lambda: ready(client))


async def test_the_process_stops_in_good_order(settings: Settings) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "marketstream", "api", env=settings.to_environment(), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(LIMIT_S):
        while b"the API serves" not in (line := await process.stderr.readline()):
            assert line, "the process ended"
        process.send_signal(signal.SIGTERM)
        assert b"Traceback" not in await process.stderr.read()
        assert await process.wait() == 0
