from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketstream.market.errors import TradeError
from marketstream.market.number import MAX_SCALE
from marketstream.market.trade import EARLIEST_US, FUTURE_US, Trade, Trades, join

from tests.harness.amounts import to_decimal
from tests.unit.strategies import TRADE, TRADES

NOW_US = 1_790_000_000_000_000
GOOD = Trades(2, 6, 100, [NOW_US, NOW_US + 1], [3943248, 3943944], [263, 4376], b"\0\1")


@given(st.lists(TRADE, min_size=1))
def test_columns_give_back_the_trades(trades: list[Trade]) -> None:
    columns = Trades.of(trades, 2, 6)
    assert list(columns) == trades
    assert list(columns.all_ids()) == [trade.id for trade in trades]
    assert len(columns) == len(trades)


@given(st.integers(0, 2**40), st.lists(TRADE, min_size=1))
def test_ids_that_follow_each_other_need_only_the_first(first_id: int, trades: list[Trade]) -> None:
    following, next_id = [], first_id
    for trade in trades:
        following.append(trade._replace(id=next_id))
        next_id += trade.n
    columns = Trades.of(following, 2, 6)
    assert columns.ids is None
    assert columns.first_id == first_id
    assert list(columns) == following


@given(TRADES)
def test_what_can_be_a_trade_passes_the_check(trades: Trades) -> None:
    trades.check(NOW_US)


@given(st.lists(st.tuples(st.integers(1, 2**40), st.integers(0, 2**40)), min_size=1))
def test_sums_of_scaled_integers_agree_with_decimal(amounts: list[tuple[int, int]]) -> None:
    exact = sum((Decimal(p).scaleb(-2) * Decimal(q).scaleb(-6) for p, q in amounts), Decimal(0))
    assert to_decimal(sum(p * q for p, q in amounts), 8) == exact


def test_no_trades_have_no_columns() -> None:
    with pytest.raises(TradeError, match="no trades were given"):
        Trades.of([], 2, 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prices": [3943248]}, "lengths"),
        ({"times": [], "prices": [], "quantities": [], "taker_buys": b""}, "above 0"),
        ({"ids": [100]}, "lengths"),
        ({"counts": [1, 1, 1]}, "lengths"),
        ({"price_scale": MAX_SCALE + 1}, "scales"),
        ({"quantity_scale": -1}, "scales"),
        ({"prices": [3943248, 0]}, "expected a price above 0"),
        ({"prices": [-1, 3943944]}, "expected a price above 0"),
        ({"quantities": [263, -1]}, "a quantity of -1: expected 0 or more"),
        ({"times": [NOW_US // 1000, NOW_US]}, "expected Unix µs"),
        ({"times": [NOW_US, NOW_US * 1000]}, "expected Unix µs"),
        ({"times": [EARLIEST_US - 1, NOW_US]}, "between 2009"),
        ({"times": [NOW_US, NOW_US + FUTURE_US + 1]}, "an hour after receipt"),
        ({"first_id": -1}, "an id below 0"),
        ({"ids": [100, -101]}, "an id below 0"),
        ({"counts": [1, 0]}, "a count below 1"),
    ],
)
def test_what_cannot_be_a_trade_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TradeError, match=message):
        msgspec.structs.replace(GOOD, **changes).check(NOW_US)


@given(TRADES, st.data())
def test_a_cut_holds_the_entries_between_two_positions(trades: Trades, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(trades) - 1))
    stop = data.draw(st.integers(start + 1, len(trades)))
    part = trades.cut(start, stop)
    assert list(part) == list(trades)[start:stop]


@given(TRADES, st.lists(st.integers(0, 19)))
def test_parts_joined_again_are_the_whole(trades: Trades, cuts: list[int]) -> None:
    bounds = sorted({0, len(trades), *(position for position in cuts if position < len(trades))})
    parts = [trades.cut(start, stop) for start, stop in pairwise(bounds)]
    assert list(join(parts)) == list(trades)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_parts_that_follow_each_other_need_no_ids(sizes: list[int]) -> None:
    parts, next_id = [], 1000
    for size in sizes:
        parts.append(Trades(2, 6, next_id, [5] * size, [6] * size, [7] * size, bytes(size)))
        next_id += size
    whole = join(parts)
    assert whole.ids is None
    assert list(whole.all_ids()) == list(range(1000, next_id))
