"""An API with stores of its own for each test."""

from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from marketstream.settings import Settings

from tests.browser.market import Market
from tests.harness.rows import add_candles, add_symbol
from tests.integration.api.serving import FIRST, fill_redis, ready, running, until


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


@pytest.fixture
async def market(settings: Settings) -> AsyncIterator[Market]:
    async with Market(settings) as market:
        yield market
