"""The feed through every fault of a fake Binance."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from marketstream.exchanges.base import FeedEvent, TradesReceived
from marketstream.exchanges.binance import metrics
from marketstream.exchanges.binance.feed import BinanceFeed
from marketstream.exchanges.binance.scales import Scale, Scales
from marketstream.exchanges.refusals import REFUSED
from marketstream.redis.budget import Budget

from tests.harness.binance.listener import IMPATIENT, LIMIT_S, listening, until
from tests.harness.binance.server import BinanceServer
from tests.harness.samples import sample
from tests.integration.exchanges.binance.symbols import SYMBOLS


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
    for session in doomed:  # before the overlap is over, but not before there is a successor
        session.socket.transport.abort()


async def restart(server: BinanceServer) -> None:
    await server.stop()
    await asyncio.sleep(0.3)  # the duration of the outage
    await server.start()
    await until(lambda: server.stream.opened > 1)


async def wrong_clock(server: BinanceServer) -> None:
    server.clock.offset_us = 5_000_000
    await asyncio.sleep(0.2)  # the duration of the error
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
"""The faults after which trades are missing until they are fetched from the history."""

MAY_LOSE = [cut_off, going_away]
"""The faults after which the next connection may be open before the next trade."""


@pytest.mark.parametrize("fault", FAULTS)
async def test_after_every_fault_the_feed_and_the_history_have_all_trades(
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


@pytest.mark.parametrize(("fault", "reason"), [(malformed, "malformed"), (wrong_types, "type")])
async def test_invalid_frames_are_counted(
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


async def test_a_symbol_is_quiet_as_long_as_the_exchange_has_no_newer_trade() -> None:
    async with BinanceServer.from_generator(["BTCUSDT"], trades_per_second=100) as server:
        server.markets["ETHUSDT"] = quiet = type(server.markets["BTCUSDT"])("ETHUSDT", [])
        assert quiet.trades == []
        async with listening(server, ["BTCUSDT", "ETHUSDT"]) as listener:
            ticker = "/api/v3/ticker/24hr"
            await until(lambda: sum(path == ticker for path, _ in server.rest.requests) >= 3)
            # The clock of the quiet symbol is that of the other symbol on its connection.
            await until(lambda: listener.clocks["ETHUSDT"] > server.clock.now_us() - 1_000_000)
        assert server.stream.opened == 1


async def test_a_delisted_symbol_does_not_hide_a_dead_one(server: BinanceServer) -> None:
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
            await until(lambda: max(listener.received["BTCUSDT"], default=0) > 0)
            await until(lambda: sum(len(session.streams) for session in server.stream.sessions) == 1101)
            assert sorted(len(session.streams) for session in server.stream.sessions) == [77, 1024]
        assert server.stream.opened == 2


async def test_a_slow_reader_causes_a_hole_and_keeps_the_connection(server: BinanceServer) -> None:
    scales = {symbol: Scales(Scale(2), Scale(6)) for symbol in SYMBOLS}

    async def newest_ids(_: object) -> dict[str, int]:
        return {}

    before = sample(metrics.OVERFLOW)
    feed = BinanceFeed(server.ws_url, SYMBOLS, scales, newest_ids, IMPATIENT, attempts=Budget(), most_trades=50)
    async with contextlib.aclosing(feed.events()) as events:
        event: FeedEvent = await anext(events)
        await until(lambda: sample(metrics.OVERFLOW) > before + 100)
        resumed_us = server.clock.now_us()
        async with asyncio.timeout(5):
            while not (isinstance(event, TradesReceived) and event.event_us > resumed_us):
                event = await anext(events)
    assert server.stream.opened == 1


async def test_a_recording_is_received_completely_at_a_high_speed(recordings: Path) -> None:
    path = recordings / "binance-BTCUSDT-trades-2021-01-08.csv"
    timing = dataclasses.replace(IMPATIENT, pong_s=10)  # a connection lost to a busy machine would lose the end
    async with (
        BinanceServer.from_recording(path, speed=20, seen=100) as server,
        listening(server, ["BTCUSDT"], timing) as listener,
    ):
        await until(lambda: max(listener.received["BTCUSDT"], default=0) == 553289559)
        assert listener.missing("BTCUSDT") == []


async def test_a_lost_connection_is_reported_for_each_symbol_until_there_is_another(server: BinanceServer) -> None:
    async with listening(server, SYMBOLS) as listener:
        await until(lambda: all(listener.connected[symbol][-1:] == [True] for symbol in SYMBOLS))
        await server.stop()
        await until(lambda: all(listener.connected[symbol][-1] is False for symbol in SYMBOLS), 3)
        await server.start()
        await until(lambda: all(listener.connected[symbol][-1] for symbol in SYMBOLS))
