"""The whole pipeline on Binance's protocol, through every fault of the exchange: no false claim, and no hole left."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from marketstream.backfill import attempts, metrics
from marketstream.exchanges.binance.exchange import Binance
from marketstream.processor.service import run_processor
from marketstream.producer.service import run_producer
from marketstream.redis.budget import Budget
from marketstream.redis.client import connect
from marketstream.settings import Settings
from redis.asyncio import Redis

from tests.harness.binance.listener import IMPATIENT, until
from tests.harness.binance.server import BinanceServer
from tests.harness.clients import query, within
from tests.harness.samples import sample
from tests.integration.live import faults
from tests.integration.live.exchange import BUSY, ForgetfulMarket, live_server
from tests.integration.live.watch import EXCHANGE, LIMIT_S, Watch

MAX_AGE_S = 4
"""Seconds; after half of it a quiet symbol is asked about: twenty of the exchange's."""

UNHEEDED = 2
"""Requests that may already be on their way when the exchange says stop."""


@pytest.fixture
async def server() -> AsyncIterator[BinanceServer]:
    async with live_server() as started:
        yield started


@pytest.fixture
async def watch(settings: Settings, server: BinanceServer) -> AsyncIterator[Watch]:
    """A pipeline that runs until the end of the test, and is watched."""
    settings = settings.but(exchange_ws_url=server.ws_url, exchange_rest_url=server.rest_url, max_age_s=MAX_AGE_S)
    watch = Watch(settings, server)
    async with pipeline(settings), watch.watching():
        print(f"complete from the first window on after {await watch.healed():.1f} s")
        yield watch


@contextlib.asynccontextmanager
async def pipeline(settings: Settings) -> AsyncIterator[None]:
    """A producer and a processor as they are in production, but less patient: their exchange's time is fast."""
    stop = asyncio.Event()
    feed, history = (
        Binance(
            Budget(connect(settings)),
            ws_url=settings.exchange_ws_url, rest_url=settings.exchange_rest_url, timing=IMPATIENT,
        )
        for _ in range(2)
    )  # fmt: skip
    services = [
        asyncio.create_task(run_processor(settings, stop, history=history)),
        asyncio.create_task(run_producer(settings, stop, exchange=feed)),
    ]
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(15):
            await asyncio.gather(*services)
            await asyncio.gather(feed.close(), history.close())


def fetched() -> float:
    """How many trades have been fetched from the history so far."""
    return sum(
        sample.value for metric in metrics.TRADES.collect() for sample in metric.samples if "_total" in sample.name
    )


async def test_after_every_fault_all_candles_are_complete_and_never_one_was_wrong(
    watch: Watch, server: BinanceServer, settings: Settings
) -> None:
    took: dict[str, float] = {}
    for fault in (*faults.LOSING, *faults.OTHERS):
        fetched_before, broken_before = fetched(), server.limits.broken
        try:
            await fault(server)
            took[fault.__name__] = await watch.healed()
            assert server.limits.broken - broken_before <= UNHEEDED
            if fault in faults.LOSING:
                assert fetched() > fetched_before, "nothing was lost"
        except BaseException as error:
            error.add_note(f"after {fault.__name__}; before, in s: {took}")
            raise
    print("complete again after, in s:", {name: round(seconds, 1) for name, seconds in took.items()})
    print(
        f"{watch.looks} looks, {watch.claims} claims, {len(server.rest.requests)} requests, {server.limits.used} weight"
    )
    async with Redis.from_url(settings.redis_url, decode_responses=True) as redis:
        for symbol in settings.symbols:
            stream = await redis.hgetall(f"stream:{EXCHANGE}:{symbol}")
            assert (stream["open_holes"], stream["backfilling"]) == ("0", "0")
    await watch.assert_all_as_it_was()


async def test_what_the_history_lacks_is_given_up_counted_and_not_asked_for_again(
    watch: Watch, server: BinanceServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PATIENCE_S", 3.0)
    market = server.markets[BUSY]
    assert isinstance(market, ForgetfulMarket)
    before = given_up()
    first = market.trades[-1].id + 1
    market.lost = range(first + 10, first + 20)
    server.faults.add("drop", 30, BUSY)  # these are the next 30: what can be had of them is had

    async def it_is_said() -> None:
        rows = await query(settings.database_url, "SELECT DISTINCT incomplete_reason AS why FROM candles_10s")
        assert {row["why"] for row in rows} == {"unfillable", None}

    await within(LIMIT_S, it_is_said)
    (progress,) = await query(settings.database_url, f"SELECT unfillable FROM progress WHERE symbol = '{BUSY}'")
    assert [(ids.lower, ids.upper) for ids in progress["unfillable"]] == [(market.lost.start, market.lost.stop)]
    assert given_up() - before == len(market.lost)
    asked = len(questions(server, market.lost))
    assert asked > 1, "a history may lag: once is not enough to give up"
    looks = watch.looks
    await until(lambda: watch.looks > looks + 100)
    await within(LIMIT_S, it_is_said)
    assert len(questions(server, market.lost)) == asked
    await watch.assert_all_as_it_was({BUSY: market.lost})


async def test_a_clock_that_is_ahead_does_not_prove_that_nothing_more_comes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for its newest trade, the exchange answers as of a time that is still to come."""
    async with live_server({"XMRUSDT": 1.0}) as server:
        settings = settings.but(
            exchange_ws_url=server.ws_url, exchange_rest_url=server.rest_url, symbols=("XMRUSDT",), max_age_s=1
        )
        watch = Watch(settings, server)
        async with pipeline(settings), watch.watching():
            await watch.healed()
            server.clock.offset_us = faults.WRONG_CLOCK_US
            asked = len(server.rest.requests)
            await until(lambda: len(server.rest.requests) > asked + 60, LIMIT_S)
            server.clock.offset_us = 0
            await watch.healed()
        await watch.assert_all_as_it_was()


def given_up() -> float:
    """How many trades are counted as not to be had."""
    return sample(metrics.UNFILLABLE, exchange=EXCHANGE, symbol=BUSY)


def questions(server: BinanceServer, ids: range) -> list[str]:
    """The requests for single trades from one of these ids on."""
    return [
        path
        for path, given in server.rest.requests
        if path.endswith("historicalTrades") and int(given.get("fromId", -1)) in ids
    ]
