"""Binance behind the contract of an exchange: symbols, newest trades and history, within the limits."""

import contextlib

import pytest
from marketstream.exchanges.binance.exchange import Binance
from marketstream.exchanges.errors import RateLimitedError, UnknownSymbolError
from marketstream.redis.budget import Budget

from tests.harness.binance.listener import listening, until
from tests.harness.binance.server import BinanceServer
from tests.harness.binance.sources import ServerTrade
from tests.harness.contract import assert_keeps_the_contract
from tests.integration.exchanges.binance.symbols import SYMBOLS


async def test_binance_keeps_the_contract(server: BinanceServer) -> None:
    exchange = Binance(Budget(), ws_url=server.ws_url, rest_url=server.rest_url)
    await assert_keeps_the_contract(exchange, "BTCUSDT", "NOPEUSDT")


async def test_the_error_names_the_unlisted_symbols(server: BinanceServer) -> None:
    exchange = Binance(Budget(), ws_url=server.ws_url, rest_url=server.rest_url)
    try:
        await exchange.check(SYMBOLS)
        with pytest.raises(UnknownSymbolError, match="does not list NOPEUSDT, btcusdt, A B: expected"):
            await exchange.check(["NOPEUSDT", "BTCUSDT", "btcusdt", "A B"])
    finally:
        await exchange.close()


async def test_the_newest_trade_is_as_of_the_exchanges_clock(server: BinanceServer) -> None:
    server.clock.offset_us = 3_600_000_000
    server.markets["NEWUSDT"] = type(server.markets["BTCUSDT"])("NEWUSDT", [])
    exchange = Binance(Budget(), ws_url=server.ws_url, rest_url=server.rest_url)
    try:
        newest = await exchange.newest("BTCUSDT")
        assert newest is not None
        assert newest.id in [trade.id for trade in server.markets["BTCUSDT"].newest(50)]
        assert 3_590_000_000 < newest.at_us - server.clock.now_us() < 3_610_000_000
        assert await exchange.newest("NEWUSDT") is None
    finally:
        await exchange.close()


async def test_the_newest_trade_costs_little_and_may_be_more_than_a_day_old(
    server: BinanceServer,
) -> None:
    old = ServerTrade(7, server.clock.now_us() - 90_000_000_000, "1.00000000", "2.00000000", buyer_is_maker=True)
    server.markets["OLDUSDT"] = type(server.markets["BTCUSDT"])("OLDUSDT", [old])
    exchange = Binance(Budget(), ws_url=server.ws_url, rest_url=server.rest_url)
    try:
        before = server.limits.used
        assert await exchange.newest("BTCUSDT") is not None
        assert server.limits.used - before <= 3
        await until(lambda: bool(server.markets["OLDUSDT"].trades))
        newest = await exchange.newest("OLDUSDT")
        assert newest is not None
        assert newest.id == 7
    finally:
        await exchange.close()


async def test_queries_for_the_newest_trade_leave_weight_to_the_history(server: BinanceServer) -> None:
    exchange = Binance(Budget(most_wait_s=0), ws_url=server.ws_url, rest_url=server.rest_url)
    try:
        first = server.markets["BTCUSDT"].trades[0].id
        await exchange.check(SYMBOLS)  # without Redis, a process has a weight of 120 at once; this call costs 20
        queries = 0
        with contextlib.suppress(RateLimitedError):
            while queries < 100:
                await exchange.newest("BTCUSDT")
                queries += 1
        assert 15 <= queries <= 25
        assert await exchange.history("BTCUSDT", first, first + 9) is not None
    finally:
        await exchange.close()


@pytest.mark.parametrize("limit", ["refuse", "ban"])
async def test_history_waits_as_long_as_the_exchange_demands(server: BinanceServer, limit: str) -> None:
    exchange = Binance(Budget(), ws_url=server.ws_url, rest_url=server.rest_url)
    try:
        await exchange.check(SYMBOLS)
        getattr(server.limits, limit)(0.9)
        first = server.markets["BTCUSDT"].trades[0].id
        page = await exchange.history("BTCUSDT", first, first + 9)
        assert page is not None
        assert len(page) == 10
        # One request gets the refusal, and no other is sent before the time.
        assert server.limits.broken <= 1
        assert len([path for path, _ in server.rest.requests if path.endswith("historicalTrades")]) == 2
    finally:
        await exchange.close()


async def test_a_symbol_of_any_script_is_streamed_and_queried() -> None:
    symbol = "币安人生USDT"
    async with (
        BinanceServer.from_generator([symbol], trades_per_second=100, past_s=5) as server,
        listening(server, [symbol]) as listener,
    ):
        await listener.exchange.check([symbol])
        await listener.catch_up()
        first = server.markets[symbol].trades[0].id
        page = await listener.exchange.history(symbol, first, first + 9)
        assert page is not None
        assert list(page.all_ids()) == list(range(first, first + 10))
        assert await listener.exchange.newest(symbol) is not None
