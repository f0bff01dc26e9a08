from collections.abc import AsyncGenerator
from itertools import pairwise

import pytest
from marketstream.exchanges.base import ClockAdvanced, TradesReceived
from marketstream.exchanges.errors import UnknownSymbolError
from marketstream.exchanges.simulator.exchange import Simulator
from marketstream.exchanges.simulator.market_model import EPOCH_US, MarketModel
from marketstream.market.trade import Trade

from tests.unit.clocks import VirtualTime

START_US = 1_790_000_000_000_000


async def feed_for(
    simulator: Simulator, time: VirtualTime, symbol: str, until_us: int
) -> list[TradesReceived | ClockAdvanced]:
    """Return the events of a feed until the clock passes `until_us`."""
    heard: list[TradesReceived | ClockAdvanced] = []
    feed: AsyncGenerator[TradesReceived | ClockAdvanced, None] = simulator.feed([symbol])
    async for event in feed:
        heard.append(event)
        if isinstance(event, ClockAdvanced) and event.time_us >= until_us:
            await feed.aclose()  # type: ignore[attr-defined]
            return heard
    raise AssertionError("the feed of the simulator never ends")


async def all_history(simulator: Simulator, symbol: str, first: int, last: int) -> list[Trade]:
    got: list[Trade] = []
    while first <= last and (page := await simulator.history(symbol, first, last)) is not None:
        got += page
        first = got[-1].id + 1
    return got


def trades_of(heard: list[TradesReceived | ClockAdvanced]) -> list[Trade]:
    return [trade for event in heard if isinstance(event, TradesReceived) for trade in event.trades]


@pytest.mark.parametrize("symbol", ["BTCUSDT", "XMRUSDT", "FOOUSDT"])
async def test_the_history_later_has_exactly_the_trades_of_the_feed(symbol: str) -> None:
    time = VirtualTime(START_US)
    simulator = Simulator(1, now=time.now, sleep=time.sleep)
    heard = await feed_for(simulator, time, symbol, START_US + 60_000_000)
    heard += await feed_for(simulator, time, symbol, time.us + 60_000_000)
    end_us = time.us
    trades = trades_of(heard)
    fresh = Simulator(1, now=time.now, sleep=time.sleep)
    model = MarketModel(1, symbol)
    first, last = model.first_id_from(START_US), model.first_id_from(end_us) - 1
    assert trades == await all_history(fresh, symbol, first, last)
    newest = await fresh.newest(symbol)
    assert newest is not None
    assert (newest.id, newest.at_us) == (last, end_us)


async def test_no_trade_arrives_after_a_clock_that_has_passed_it() -> None:
    time = VirtualTime(START_US)
    clock = 0
    simulator = Simulator(1, now=time.now, sleep=time.sleep)
    for event in await feed_for(simulator, time, "BTCUSDT", START_US + 30_000_000):
        if isinstance(event, TradesReceived):
            assert event.trades.times[0] >= clock
            assert event.event_us >= event.trades.times[-1]
            event.trades.check(event.received_us)
        else:
            clock = event.time_us


async def test_a_slow_reader_misses_nothing() -> None:
    time = VirtualTime(START_US)
    feed = Simulator(1, now=time.now, sleep=time.sleep).feed(["BTCUSDT"])
    trades: list[Trade] = []
    async for event in feed:
        time.us += 20_000_000  # each event takes the reader 20 s
        if isinstance(event, TradesReceived):
            trades += event.trades
        if len(trades) > 5_000:
            break
    assert all(after.id == before.id + 1 for before, after in pairwise(trades))


async def test_the_future_is_not_history() -> None:
    time = VirtualTime(START_US)
    simulator = Simulator(1, now=time.now, sleep=time.sleep)
    newest = await simulator.newest("BTCUSDT")
    assert newest is not None
    assert await simulator.history("BTCUSDT", newest.id + 1, newest.id + 100) is None
    page = await simulator.history("BTCUSDT", newest.id, newest.id + 100)
    assert page is not None
    assert list(page.all_ids()) == [newest.id]
    assert page.times[0] < START_US
    time.us = EPOCH_US
    assert await simulator.newest("BTCUSDT") is None


@pytest.mark.parametrize(
    "symbol", ["btcusdt", "B", "", "A" * 21, "BTC USDT", "BTC//USDT", "BTC/USDT", "BTC-USDT", "-BTC", "BTC\n"]
)
async def test_a_text_not_spelled_like_a_symbol_is_unknown(symbol: str) -> None:
    with pytest.raises(UnknownSymbolError) as raised:
        await Simulator(1).check(["BTCUSDT", symbol])
    assert repr(symbol) in str(raised.value)


async def test_symbols_may_have_letters_of_any_script() -> None:
    await Simulator(1).check(["币安人生USDT", "1INCHUSDT"])
