"""The readiness of a producer, with an exchange that speaks Binance's protocol and whose only symbol is not traded.

Nothing is published, so there is no Kafka.
"""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator

import pytest
from marketstream.exchanges.binance.exchange import Binance
from marketstream.exchanges.binance.timing import Timing
from marketstream.producer import pipeline
from marketstream.producer.pipeline import Pipeline
from marketstream.redis.budget import Budget
from marketstream.settings import Settings

from tests.harness.binance.clock import ExchangeClock
from tests.harness.binance.listener import IMPATIENT, until
from tests.harness.binance.server import BinanceServer

SYMBOL = "BTCUSDT"
SILENCE_S = 2.0  # long enough for answers to four pings


@pytest.fixture
async def quiet(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BinanceServer]:
    monkeypatch.setattr(pipeline, "SILENCE_S", SILENCE_S)
    async with BinanceServer({SYMBOL: []}, ExchangeClock(time.time_ns() // 1000)) as server:
        yield server


@contextlib.asynccontextmanager
async def reading(server: BinanceServer, timing: Timing = IMPATIENT) -> AsyncIterator[Pipeline]:
    exchange = Binance(Budget(), ws_url=server.ws_url, rest_url=server.rest_url, timing=timing)
    read = Pipeline(Settings(exchange="binance", symbols=(SYMBOL,)), exchange, [SYMBOL])
    task = asyncio.create_task(read.read())
    try:
        await until(lambda: any(session.streams for session in server.stream.sessions))
        yield read
        assert not task.done(), "reading has ended"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await exchange.close()


async def test_a_quiet_market_is_ready_and_nothing_is_claimed_of_it(quiet: BinanceServer) -> None:
    async with reading(quiet) as read:
        end_s = time.monotonic() + 3 * SILENCE_S
        while time.monotonic() < end_s:
            assert read.feed_problem() is None
            await asyncio.sleep(0.05)
        assert read._packer.take() == []
    assert quiet.stream.opened == 1


async def test_a_connection_that_is_half_open_is_not_ready_until_there_is_another(quiet: BinanceServer) -> None:
    patient = dataclasses.replace(IMPATIENT, pong_s=60)  # so that the feed itself does not give up the connection
    async with reading(quiet, patient) as read:
        quiet.half_open()
        await until(lambda: read.feed_problem() is not None)
        quiet.abort()
        await until(lambda: read.feed_problem() is None)
    assert quiet.stream.opened == 2


async def test_a_producer_is_not_ready_while_its_exchange_is_unreachable(quiet: BinanceServer) -> None:
    async with reading(quiet) as read:
        await quiet.stop()
        await until(lambda: read.feed_problem() is not None)
        await quiet.start()
        await until(lambda: read.feed_problem() is None)
