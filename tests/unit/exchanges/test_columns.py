from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from marketstream.exchanges.columns import cut, joined
from marketstream.market.trade import Trades

from tests.unit.strategies import TRADES


@given(TRADES, st.data())
def test_a_cut_holds_the_entries_between_two_positions(trades: Trades, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(trades) - 1))
    stop = data.draw(st.integers(start + 1, len(trades)))
    part = cut(trades, start, stop)
    assert list(part) == list(trades)[start:stop]


@given(TRADES, st.lists(st.integers(0, 19)))
def test_parts_joined_again_are_the_whole(trades: Trades, cuts: list[int]) -> None:
    bounds = sorted({0, len(trades), *(position for position in cuts if position < len(trades))})
    parts = [cut(trades, start, stop) for start, stop in pairwise(bounds)]
    assert list(joined(parts)) == list(trades)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_parts_that_follow_each_other_need_no_ids(sizes: list[int]) -> None:
    parts, next_id = [], 1000
    for size in sizes:
        parts.append(Trades(2, 6, next_id, [5] * size, [6] * size, [7] * size, bytes(size)))
        next_id += size
    whole = joined(parts)
    assert whole.ids is None
    assert list(whole.all_ids()) == list(range(1000, next_id))
