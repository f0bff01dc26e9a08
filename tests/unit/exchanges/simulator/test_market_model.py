from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marketstream.exchanges.simulator.market_model import EPOCH_US, KNOWN, MarketModel
from marketstream.market.trade import Trade

START_US = 1_790_000_000_000_000
SYMBOLS = st.sampled_from([*KNOWN, "FOOUSDT", "BTC/USDT", "A1"])
TIMES = st.integers(EPOCH_US, START_US)


@given(st.integers(0, 2**32), SYMBOLS, TIMES)
@settings(max_examples=30, deadline=None)
def test_the_same_arguments_give_the_same_trades(seed: int, symbol: str, time_us: int) -> None:
    first, again = MarketModel(seed, symbol), MarketModel(seed, symbol)
    id_ = first.first_id_from(time_us)
    again.page(id_ + 5_000, id_ + 5_000)  # earlier queries make no difference
    assert list(first.page(id_, id_ + 50)) == list(again.page(id_, id_ + 50))


@given(SYMBOLS, TIMES, st.lists(st.integers(1, 400_000_000), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_ids_are_consecutive_and_times_ordered_across_any_split(symbol: str, start_us: int, spans: list[int]) -> None:
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
def test_an_id_leads_to_its_time_and_back(symbol: str, id_: int) -> None:
    model = MarketModel(1, symbol)
    time_us = model.time_of(id_)
    assert model.first_id_from(time_us) <= id_ < model.first_id_from(time_us + 1)


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


def test_the_rate_of_a_symbol_can_be_replaced() -> None:
    model = MarketModel(1, "BTCUSDT", trades_per_second=1000)
    assert sum(map(len, model.between(START_US, START_US + 10_000_000))) == pytest.approx(10_000, rel=0.1)
