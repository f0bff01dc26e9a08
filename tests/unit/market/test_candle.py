"""A candle counts trades as columns or one by one, with the same result, and counts as columns whenever it can."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marketstream.market.aggregator import Aggregator
from marketstream.market.candle import Candle
from marketstream.market.number import rescale
from marketstream.market.progress import Progress
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_US

from tests.harness.amounts import rescaled
from tests.harness.model import MemoryStore
from tests.harness.scenarios import EPOCH, FAR, GRACE_US, PRICE_SCALE, QUANTITY_SCALE
from tests.unit.histories import history, split, stored

SIZE = 10


def aggregator(grace_us: int) -> Aggregator:
    return Aggregator(Progress(), grace_us=grace_us, max_id_jump=10**6, max_holes=10**6)


def fields(candle: Candle) -> dict[str, int]:
    return {name: getattr(candle, name) for name in Candle.__slots__}


def in_order(rng: random.Random, size: int) -> list[Trade]:
    """Return trades of one window, at the scales 2 and 6, with times in the order of their ids."""
    times = sorted(rng.randrange(WINDOW_US) for _ in range(size))
    return [
        Trade(number, 1, EPOCH + time, rng.randrange(1, 10**6), rng.randrange(10**7), rng.random() < 0.5)
        for number, time in enumerate(times)
    ]


@given(st.randoms(use_true_random=False), st.integers(1, 30))
def test_columns_and_single_trades_in_any_order_give_the_same_candle(rng: random.Random, size: int) -> None:
    trades = in_order(rng, size)
    as_columns, singly = (Candle(0, 2, 6, trades[0]) for _ in range(2))
    if rest := trades[1:]:
        prices = [trade.price for trade in rest]
        columns_of_rest = Trades.of(rest, 2, 6)
        assert as_columns.can_extend(columns_of_rest)
        as_columns.extend(columns_of_rest, max(prices), min(prices), rest[-1].id)
    rng.shuffle(rest)
    for trade in rest:
        singly.add(trade)
    assert fields(as_columns) == fields(singly)


@given(st.randoms(use_true_random=False), st.integers(1, 30))
def test_a_candle_does_not_depend_on_the_scales_at_which_its_trades_arrive(rng: random.Random, size: int) -> None:
    trades = in_order(rng, size)
    expected, mixed = Candle(0, 2, 6, trades[0]), Candle(0, 2, 6, trades[0])
    for trade in trades[1:]:
        price_scale, quantity_scale = 2 + rng.randrange(3), 6 + rng.randrange(3)
        expected.add(trade)
        mixed.count(
            trade._replace(
                price=rescale(trade.price, 2, price_scale), quantity=rescale(trade.quantity, 6, quantity_scale)
            ),
            price_scale,
            quantity_scale,
        )
    expected.rescale(mixed.price_scale, mixed.quantity_scale)
    assert fields(expected) == fields(mixed)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 300))
def test_records_in_order_give_what_each_trade_alone_gives_in_any_order(seed: int, size: int) -> None:
    """One aggregator takes the fast paths, the other the general one; a long grace keeps all windows open."""
    rng = random.Random(seed)
    trades = history(rng, size)
    end_us, grace_us = trades[-1].time + 2 * WINDOW_US, trades[-1].time - EPOCH + WINDOW_US
    fast, general = aggregator(grace_us), aggregator(grace_us)
    for offset, record in enumerate(split(rng, trades, (1, 2, 10, 50))):
        fast.apply(record, offset, end_us)
    rng.shuffle(trades)
    for offset, trade in enumerate(trades):
        general.apply(Trades.of([trade], PRICE_SCALE, QUANTITY_SCALE), offset, end_us)
    for one in (fast, general):
        one.heartbeat(end_us + grace_us)
    assert fast.counters.counted == general.counters.counted == size
    stores = MemoryStore(), MemoryStore()
    for store, one in zip(stores, (fast, general), strict=True):
        store.apply(one.take(size))
    assert stored(stores[0]) == stored(stores[1])
    assert fast.ledger.closed_until == (end_us // WINDOW_US)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count the calls that add one entry and the calls that add columns."""
    counts = {"add": 0, "extend": 0}

    def counting(name: str, method: Callable[..., None]) -> Callable[..., None]:
        def called(*arguments: Any) -> None:
            counts[name] += 1
            method(*arguments)

        return called

    for name in counts:
        monkeypatch.setattr(Candle, name, counting(name, getattr(Candle, name)))
    return counts


def columns(first_id: int, window: float, price_scale: int, quantity_scale: int) -> Trades:
    """Return SIZE trades that follow each other within a tenth of a window."""
    times = [EPOCH + int((window + number / SIZE / 10) * WINDOW_US) for number in range(SIZE)]
    trades = [Trade(first_id + number, 1, time, 100, 5, taker_buy=True) for number, time in enumerate(times)]
    return rescaled(Trades.of(trades, 2, 6), price_scale, quantity_scale)


@pytest.mark.parametrize(("before", "after"), [((2, 6), (3, 6)), ((3, 6), (2, 6)), ((2, 7), (3, 6)), ((3, 6), (2, 7))])
def test_after_a_change_of_scale_the_next_window_is_counted_as_columns_again(
    calls: dict[str, int], before: tuple[int, int], after: tuple[int, int]
) -> None:
    counting, store = Aggregator(Progress(), grace_us=GRACE_US, max_id_jump=10**6, max_holes=10), MemoryStore()
    log = [columns(0, 0.1, *before), *(columns(SIZE * n, 0.1 + n / 10, *after) for n in (1, 2, 3))]
    for offset, record in enumerate(log):
        counting.apply(record, offset, FAR)
    calls.update(add=0, extend=0)
    for n in range(4, 10):
        counting.apply(columns(SIZE * n, 1 + (n - 4) * 0.6, *after), n, FAR)
    assert calls == {"add": 0, "extend": 6}
    counting.heartbeat(FAR)
    store.apply(counting.take(10))
    assert sum(candle.trade_count for candle in store.candles.values()) == 10 * SIZE
    rows = list(store.rows().values())
    assert {str(row.open.normalize()) for row in rows} == {"1"}
    assert sum(row.volume for row in rows) == rows[0].volume / rows[0].trade_count * 10 * SIZE
