"""The whole pipeline through every fault of a fake Binance: no false claim, and no hole remains."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from marketstream.backfill import attempts, metrics
from marketstream.exchanges.binance.exchange import Binance
from marketstream.redis.budget import Budget
from marketstream.redis.client import connect
from marketstream.settings import Settings
from redis.asyncio import Redis

from tests.harness.binance.listener import IMPATIENT, until
from tests.harness.binance.server import BinanceServer
from tests.harness.clients import query, within
from tests.harness.pair import pair
from tests.harness.samples import sample
from tests.integration.live import faults
from tests.integration.live.exchange import BUSY, ForgetfulMarket, live_server
from tests.integration.live.watch import EXCHANGE, LIMIT_S, Watch

MAX_AGE_S = 4
"""Seconds. After half of them, that is, 20 exchange seconds, a quiet symbol is checked."""

UNHEEDED = 2
"""Requests that may already be on their way when the exchange demands a pause."""


@pytest.fixture
async def server() -> AsyncIterator[BinanceServer]:
    async with live_server() as started:
        yield started


@pytest.fixture
async def watch(settings: Settings, server: BinanceServer) -> AsyncIterator[Watch]:
    """Run and watch a pipeline until the end of the test."""
    settings = settings.but(exchange_ws_url=server.ws_url, exchange_rest_url=server.rest_url, max_age_s=MAX_AGE_S)
    watch = Watch(settings, server)
    async with pipeline(settings), watch.watching():
        print(f"complete from the first window on after {await watch.healed():.1f} s")
        yield watch


@contextlib.asynccontextmanager
async def pipeline(settings: Settings) -> AsyncIterator[None]:
    """Run a producer and a processor as in production, with shorter times, because the exchange's time is fast."""
    feed, history = (
        Binance(
            Budget(connect(settings)),
            ws_url=settings.exchange_ws_url, rest_url=settings.exchange_rest_url, timing=IMPATIENT,
        )
        for _ in range(2)
    )  # fmt: skip
    try:
        async with pair(settings, feed, history):
            yield
    finally:
        await asyncio.gather(feed.close(), history.close())


def fetched() -> float:
    """Return the number of trades fetched from the history so far."""
    return sum(
        sample.value for metric in metrics.TRADES.collect() for sample in metric.samples if "_total" in sample.name
    )


async def test_after_every_fault_all_candles_become_complete_and_none_was_ever_wrong(
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


async def test_trades_that_the_history_lacks_are_given_up_counted_and_not_requested_again(
    watch: Watch, server: BinanceServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PATIENCE_S", 3.0)
    market = server.markets[BUSY]
    assert isinstance(market, ForgetfulMarket)
    before = given_up()
    first = market.trades[-1].id + 1
    market.lost = range(first + 10, first + 20)
    server.faults.add("drop", 30, BUSY)  # the next 30 trades, of which the history has 20

    async def is_reported() -> None:
        rows = await query(settings.database_url, "SELECT DISTINCT incomplete_reason AS why FROM candles_10s")
        assert {row["why"] for row in rows} == {"unfillable", None}

    await within(LIMIT_S, is_reported)
    (progress,) = await query(settings.database_url, f"SELECT unfillable FROM progress WHERE symbol = '{BUSY}'")
    assert [(ids.lower, ids.upper) for ids in progress["unfillable"]] == [(market.lost.start, market.lost.stop)]
    assert given_up() - before == len(market.lost)
    requests = len(requests_for(server, market.lost))
    assert requests > 1, "a history may lag: one request is not enough to give up"
    looks = watch.looks
    await until(lambda: watch.looks > looks + 100)
    await within(LIMIT_S, is_reported)
    assert len(requests_for(server, market.lost)) == requests
    await watch.assert_all_as_it_was({BUSY: market.lost})


async def test_a_clock_that_is_ahead_does_not_prove_a_symbol_quiet(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exchange reports its newest trade as of a time that is still to come."""
    async with live_server({"XMRUSDT": 1.0}) as server:
        settings = settings.but(
            exchange_ws_url=server.ws_url, exchange_rest_url=server.rest_url, symbols=("XMRUSDT",), max_age_s=1
        )
        watch = Watch(settings, server)
        async with pipeline(settings), watch.watching():
            await watch.healed()
            server.clock.offset_us = faults.WRONG_CLOCK_US
            before = len(server.rest.requests)
            await until(lambda: len(server.rest.requests) > before + 60, LIMIT_S)
            server.clock.offset_us = 0
            await watch.healed()
        await watch.assert_all_as_it_was()


def given_up() -> float:
    """Return the number of trades counted as unfillable."""
    return sample(metrics.UNFILLABLE, exchange=EXCHANGE, symbol=BUSY)


def requests_for(server: BinanceServer, ids: range) -> list[str]:
    """Return the requests for single trades that begin at one of these ids."""
    return [
        path
        for path, given in server.rest.requests
        if path.endswith("historicalTrades") and int(given.get("fromId", -1)) in ids
    ]
