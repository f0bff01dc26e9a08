"""Binance's feed and history against an exchange that speaks its protocol, with every fault that it can have."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from marketstream.exchanges.base import FeedEvent, TradesReceived
from marketstream.exchanges.binance import metrics
from marketstream.exchanges.binance.exchange import Binance
from marketstream.exchanges.binance.feed import BinanceFeed
from marketstream.exchanges.binance.scales import Scale, Scales
from marketstream.exchanges.errors import RateLimitedError, UnknownSymbolError
from marketstream.exchanges.refusals import REFUSED
from marketstream.redis.budget import Budget

from tests.harness.binance.server import BinanceServer
from tests.harness.binance.sources import ServerTrade
from tests.harness.binance.stream import BadAnswer
from tests.harness.samples import sample
from tests.integration.exchanges.listener import IMPATIENT, LIMIT_S, listening, until

SYMBOLS = ["BTCUSDT", "ETHUSDT", "SOLUSDT"]


@pytest.fixture
async def server() -> AsyncIterator[BinanceServer]:
    async with BinanceServer.from_generator(SYMBOLS, trades_per_second=100, past_s=5) as started:
        yield started


async def frames_fault(server: BinanceServer, kind: str) -> None:
    server.faults.add(kind, 20)  # type: ignore[arg-type]
    server.faults.add(kind, 10, "ETHUSDT")  # type: ignore[arg-type]
    await until(lambda: not server.faults.pending)


async def cut_off(server: BinanceServer) -> None:
    server.abort()
    await until(lambda: server.stream.opened > 1)


async def going_away(server: BinanceServer) -> None:
    await server.close(1001)
    await until(lambda: server.stream.opened > 1)


async def half_open(server: BinanceServer) -> None:
    server.half_open()
    await until(lambda: server.stream.opened > 1)


async def silent_death(server: BinanceServer) -> None:
    server.silence("ETHUSDT")
    await until(lambda: server.stream.opened > 1)


async def shutdown(server: BinanceServer) -> None:
    doomed = list(server.stream.sessions)
    server.announce_shutdown(2 * LIMIT_S)
    await until(lambda: any(session.streams for session in server.stream.sessions if session not in doomed))
    for session in doomed:  # it goes before the overlap is over, but not before there is a successor
        session.socket.transport.abort()


async def restart(server: BinanceServer) -> None:
    await server.stop()
    await asyncio.sleep(0.3)  # the time for which it is down
    await server.start()
    await until(lambda: server.stream.opened > 1)


async def wrong_clock(server: BinanceServer) -> None:
    server.clock.offset_us = 5_000_000
    await asyncio.sleep(0.2)  # the time for which it is wrong
    server.clock.offset_us = -5_000_000
    await asyncio.sleep(0.2)


async def drop(server: BinanceServer) -> None:
    await frames_fault(server, "drop")


async def duplicate(server: BinanceServer) -> None:
    await frames_fault(server, "duplicate")


async def reorder(server: BinanceServer) -> None:
    await frames_fault(server, "reorder")


async def malformed(server: BinanceServer) -> None:
    await frames_fault(server, "malformed")


async def wrong_types(server: BinanceServer) -> None:
    await frames_fault(server, "wrong_types")


FAULTS = [
    drop, duplicate, reorder, malformed, wrong_types, cut_off, going_away, half_open, silent_death, shutdown, restart,
    wrong_clock,
]  # fmt: skip


LOSING = [drop, malformed, wrong_types, half_open, silent_death, restart]
"""Those after which trades are missing until the history is asked."""

MAY_LOSE = [cut_off, going_away]
"""Those after which the next connection may be there before the next trade."""


@pytest.mark.parametrize("fault", FAULTS)
async def test_after_every_fault_what_was_heard_and_the_history_are_all(
    server: BinanceServer, fault: Callable[[BinanceServer], Awaitable[None]]
) -> None:
    async with listening(server, SYMBOLS) as listener:
        await listener.catch_up()
        await fault(server)
        await listener.catch_up()
        if fault not in MAY_LOSE:
            assert any(listener.missing(symbol) for symbol in SYMBOLS) is (fault in LOSING)
        await listener.fill()
        assert [listener.missing(symbol) for symbol in SYMBOLS] == [[], [], []]


@pytest.mark.parametrize("answer", ["error", "none"])
async def test_a_connection_that_does_not_confirm_is_given_up_for_another(
    server: BinanceServer, answer: BadAnswer
) -> None:
    server.stream.bad_answers += [answer]
    timing = dataclasses.replace(IMPATIENT, answer_s=0.3)
    async with listening(server, SYMBOLS, timing) as listener:
        await listener.catch_up()
    assert server.stream.opened == 2


@pytest.mark.parametrize(("fault", "reason"), [(malformed, "malformed"), (wrong_types, "type")])
async def test_frames_that_are_no_trades_are_counted(
    server: BinanceServer, fault: Callable[[BinanceServer], Awaitable[None]], reason: str
) -> None:
    before = sample(REFUSED, reason=reason)
    async with listening(server, SYMBOLS) as listener:
        await listener.catch_up()
        await fault(server)
        await listener.catch_up()
    assert sample(REFUSED, reason=reason) - before == 30
    assert server.stream.opened == 1


async def test_a_clock_never_passes_a_trade_that_is_still_to_come(server: BinanceServer) -> None:
    async with listening(server, SYMBOLS) as listener:
        for _ in range(20):
            await listener.catch_up()
        await until(lambda: all(listener.clocks[symbol] > server.clock.now_us() - 1_000_000 for symbol in SYMBOLS))
        assert listener.late == 0


async def test_a_server_that_says_when_it_goes_is_left_without_a_loss(server: BinanceServer) -> None:
    async with listening(server, SYMBOLS) as listener:
        await listener.catch_up()
        server.announce_shutdown(5.0)
        await until(lambda: server.stream.opened == 2 and len(server.stream.sessions) == 1)
        await listener.catch_up()
        assert [listener.missing(symbol) for symbol in SYMBOLS] == [[], [], []]


async def test_an_old_connection_is_replaced_without_a_loss(server: BinanceServer) -> None:
    timing = dataclasses.replace(IMPATIENT, age_s=1.0)
    async with listening(server, SYMBOLS, timing) as listener:
        await until(lambda: server.stream.opened >= 3)
        await listener.catch_up()
        assert [listener.missing(symbol) for symbol in SYMBOLS] == [[], [], []]
        assert len(server.stream.sessions) <= 2


async def test_quiet_is_quiet_as_long_as_the_exchange_knows_no_newer_trade() -> None:
    async with BinanceServer.from_generator(["BTCUSDT"], trades_per_second=100) as server:
        server.markets["ETHUSDT"] = quiet = type(server.markets["BTCUSDT"])("ETHUSDT", [])
        assert quiet.trades == []
        async with listening(server, ["BTCUSDT", "ETHUSDT"]) as listener:
            asked = "/api/v3/ticker/24hr"
            await until(lambda: sum(path == asked for path, _ in server.rest.requests) >= 3)
            # Its clock is that of the other symbol on its connection.
            await until(lambda: listener.clocks["ETHUSDT"] > server.clock.now_us() - 1_000_000)
        assert server.stream.opened == 1


async def test_a_symbol_that_is_not_listed_any_more_hides_no_other_that_died(server: BinanceServer) -> None:
    async with listening(server, SYMBOLS) as listener:
        await listener.catch_up()
        del server.markets["SOLUSDT"]
        server.silence("ETHUSDT")
        await until(lambda: server.stream.opened == 2)
        await listener.catch_up()


async def test_more_symbols_than_a_connection_takes_are_subscribed_within_the_limits() -> None:
    symbols = [f"S{number}USDT" for number in range(1100)]
    async with BinanceServer.from_generator(["BTCUSDT"], trades_per_second=50) as server:
        btc = server.markets["BTCUSDT"]
        server.markets.update({symbol: type(btc)(symbol, []) for symbol in symbols})
        timing = dataclasses.replace(IMPATIENT, ping_s=5)  # as usual, pings take at most one message a second
        async with listening(server, [*symbols, "BTCUSDT"], timing) as listener:
            await until(lambda: max(listener.heard["BTCUSDT"], default=0) > 0)
            await until(lambda: sum(len(session.streams) for session in server.stream.sessions) == 1101)
            assert sorted(len(session.streams) for session in server.stream.sessions) == [77, 1024]
        assert server.stream.opened == 2


async def test_a_reader_that_is_too_slow_makes_a_hole_and_keeps_the_connection(server: BinanceServer) -> None:
    scales = {symbol: Scales(Scale(2), Scale(6)) for symbol in SYMBOLS}

    async def newest_ids(_: object) -> dict[str, int]:
        return {}

    before = sample(metrics.OVERFLOW)
    feed = BinanceFeed(server.ws_url, SYMBOLS, scales, newest_ids, IMPATIENT, most_trades=50)
    async with contextlib.aclosing(feed.events()) as events:
        event: FeedEvent = await anext(events)
        await until(lambda: sample(metrics.OVERFLOW) > before + 100)
        resumed_us = server.clock.now_us()
        async with asyncio.timeout(5):
            while not (isinstance(event, TradesReceived) and event.event_us > resumed_us):
                event = await anext(events)
    assert server.stream.opened == 1


async def test_symbols_that_are_not_listed_are_named(server: BinanceServer) -> None:
    exchange = Binance(Budget(), ws_url=server.ws_url, rest_url=server.rest_url)
    try:
        await exchange.check(SYMBOLS)
        with pytest.raises(UnknownSymbolError, match="does not list NOPEUSDT, btcusdt, A B: expected"):
            await exchange.check(["NOPEUSDT", "BTCUSDT", "btcusdt", "A B"])
    finally:
        await exchange.close()


async def test_the_newest_trade_as_of_the_exchanges_clock(server: BinanceServer) -> None:
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


async def test_the_newest_trade_costs_little_and_is_known_even_when_it_is_more_than_a_day_old(
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


async def test_asking_who_is_quiet_leaves_weight_to_holes(server: BinanceServer) -> None:
    exchange = Binance(Budget(most_wait_s=0), ws_url=server.ws_url, rest_url=server.rest_url)
    try:
        first = server.markets["BTCUSDT"].trades[0].id
        await exchange.check(SYMBOLS)  # what a process has at once without Redis is 120, and 20 of it is for this
        asked = 0
        with contextlib.suppress(RateLimitedError):
            while asked < 100:
                await exchange.newest("BTCUSDT")
                asked += 1
        assert 15 <= asked <= 25
        assert await exchange.history("BTCUSDT", first, first + 9) is not None
    finally:
        await exchange.close()


@pytest.mark.parametrize("limit", ["refuse", "ban"])
async def test_history_waits_out_what_the_exchange_says(server: BinanceServer, limit: str) -> None:
    exchange = Binance(Budget(), ws_url=server.ws_url, rest_url=server.rest_url)
    try:
        await exchange.check(SYMBOLS)
        getattr(server.limits, limit)(0.9)
        first = server.markets["BTCUSDT"].trades[0].id
        page = await exchange.history("BTCUSDT", first, first + 9)
        assert page is not None
        assert len(page) == 10
        # One request to be told, and then not one before the time.
        assert server.limits.broken <= 1
        assert len([path for path, _ in server.rest.requests if path.endswith("historicalTrades")]) == 2
    finally:
        await exchange.close()


async def test_the_recording_comes_through_at_any_speed(recordings: Path) -> None:
    path = recordings / "binance-BTCUSDT-trades-2021-01-08.csv"
    async with (
        BinanceServer.from_recording(path, speed=20, seen=100) as server,
        listening(server, ["BTCUSDT"]) as listener,
    ):
        await until(lambda: max(listener.heard["BTCUSDT"], default=0) == 553289559)
        assert listener.missing("BTCUSDT") == []
