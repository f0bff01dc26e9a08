from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marketstream.exchanges.base import Clock, Heard, UnknownSymbolError
from marketstream.exchanges.market_model import EPOCH_US, KNOWN, MarketModel
from marketstream.exchanges.simulator import Simulator
from marketstream.market.trade import Trade

from tests.unit.clocks import VirtualTime

START_US = 1_790_000_000_000_000
SYMBOLS = st.sampled_from([*KNOWN, "FOOUSDT", "BTC/USDT", "A1"])
TIMES = st.integers(EPOCH_US, START_US)


async def feed_for(simulator: Simulator, time: VirtualTime, symbol: str, until_us: int) -> list[Heard | Clock]:
    """What a feed brings until the clock passes a time."""
    heard: list[Heard | Clock] = []
    feed: AsyncIterator[Heard | Clock] = simulator.feed([symbol])
    async for event in feed:
        heard.append(event)
        if isinstance(event, Clock) and event.time_us >= until_us:
            await feed.aclose()  # type: ignore[attr-defined]
            return heard
    raise AssertionError("the feed of the simulator never ends")


async def all_history(simulator: Simulator, symbol: str, first: int, last: int) -> list[Trade]:
    got: list[Trade] = []
    while first <= last and (page := await simulator.history(symbol, first, last)) is not None:
        got += page
        first = got[-1].id + 1
    return got


def trades_of(heard: list[Heard | Clock]) -> list[Trade]:
    return [trade for event in heard if isinstance(event, Heard) for trade in event.trades]


@given(st.integers(0, 2**32), SYMBOLS, TIMES)
@settings(max_examples=30, deadline=None)
def test_the_same_arguments_give_the_same_trades(seed: int, symbol: str, time_us: int) -> None:
    first, again = MarketModel(seed, symbol), MarketModel(seed, symbol)
    id_ = first.first_id_from(time_us)
    again.page(id_ + 5_000, id_ + 5_000)  # what was asked before makes no difference
    assert list(first.page(id_, id_ + 50)) == list(again.page(id_, id_ + 50))


@given(SYMBOLS, TIMES, st.lists(st.integers(1, 400_000_000), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_ids_are_consecutive_and_times_ordered_over_any_split(symbol: str, start_us: int, spans: list[int]) -> None:
    model = MarketModel(1, symbol)
    trades: list[Trade] = []
    position = start_us
    for span in spans:
        part = [trade for page in model.between(position, position + span) for trade in page]
        assert all(position <= trade.time < position + span for trade in part)
        trades += part
        position += span
    whole = [trade for page in MarketModel(1, symbol).between(start_us, position) for trade in page]
    assert trades == whole
    assert all(after.id == before.id + 1 and after.time >= before.time for before, after in pairwise(trades))


@given(SYMBOLS, st.integers(0, 10**7))
@settings(max_examples=30, deadline=None)
def test_an_id_and_its_time_find_each_other(symbol: str, id_: int) -> None:
    model = MarketModel(1, symbol)
    time_us = model.time_of(id_)
    assert model.first_id_from(time_us) <= id_ < model.first_id_from(time_us + 1)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "XMRUSDT", "FOOUSDT"])
async def test_the_feed_is_what_history_says_later(symbol: str) -> None:
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


async def test_no_trade_comes_after_a_clock_that_has_passed_it() -> None:
    time = VirtualTime(START_US)
    clock = 0
    simulator = Simulator(1, now=time.now, sleep=time.sleep)
    for event in await feed_for(simulator, time, "BTCUSDT", START_US + 30_000_000):
        if isinstance(event, Heard):
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
        if isinstance(event, Heard):
            trades += event.trades
        if len(trades) > 5_000:
            break
    assert all(after.id == before.id + 1 for before, after in pairwise(trades))


async def test_the_future_is_not_history() -> None:
    time = VirtualTime(START_US)
    simulator = Simulator(1, now=time.now, sleep=time.sleep)
    newest = await simulator.newest("BTCUSDT")
    assert newest is not None
    assert newest.time_us < START_US
    assert await simulator.history("BTCUSDT", newest.id + 1, newest.id + 100) is None
    page = await simulator.history("BTCUSDT", newest.id, newest.id + 100)
    assert page is not None
    assert list(page.all_ids()) == [newest.id]
    time.us = EPOCH_US
    assert await simulator.newest("BTCUSDT") is None


def test_a_quiet_symbol_leaves_whole_windows_without_a_trade() -> None:
    times = [t for page in MarketModel(1, "XMRUSDT").between(START_US, START_US + 3600_000_000) for t in page.times]
    assert 100 < len(times) < 300
    assert len({time // 10_000_000 for time in times}) < 250


def test_trades_come_in_bursts() -> None:
    hour = MarketModel(1, "BTCUSDT").between(START_US, START_US + 3600_000_000)
    counts = [0] * 3600
    for page in hour:
        for time in page.times:
            counts[(time - START_US) // 1_000_000] += 1
    assert max(counts) > 5 * sum(counts) / len(counts)


@pytest.mark.parametrize("symbol", KNOWN)
def test_prices_stay_plausible_over_a_year_and_move_on_every_scale(symbol: str) -> None:
    model, market = MarketModel(1, symbol), KNOWN[symbol]
    usual = market.price * 10**market.price_scale
    days = [START_US - day * 86_400_000_000 for day in range(0, 365, 3)]
    year = [model.page(id_, id_).prices[0] for id_ in map(model.first_id_from, days)]
    assert 0.6 * usual < min(year) < max(year) < 1.6 * usual
    minutes = [price for page in model.between(START_US, START_US + 600_000_000) for price in page.prices]
    assert 0 < (max(minutes) - min(minutes)) / usual < 0.05


def test_a_rate_of_its_own_for_tests_of_load() -> None:
    model = MarketModel(1, "BTCUSDT", trades_per_second=1000)
    assert sum(map(len, model.between(START_US, START_US + 10_000_000))) == pytest.approx(10_000, rel=0.1)


@pytest.mark.parametrize("symbol", ["btcusdt", "B", "", "A" * 21, "BTC USDT", "BTC//USDT", "-BTC", "BTC\n"])
async def test_what_is_not_spelled_like_a_symbol_is_unknown(symbol: str) -> None:
    with pytest.raises(UnknownSymbolError) as raised:
        await Simulator(1).check(["BTCUSDT", symbol])
    assert repr(symbol) in str(raised.value)


async def test_symbols_with_a_separator_are_known() -> None:
    await Simulator(1).check(["BTC/USDT", "BTC-USDT", "1INCHUSDT"])
