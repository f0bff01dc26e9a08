from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketstream.market.window import INTERVALS, ROLLUPS, WINDOW_S, WINDOW_US, Interval, start_s, window_of

TIMES_US = st.integers(0, 4_102_444_800_000_000)


@given(TIMES_US)
def test_a_window_contains_its_times(time_us: int) -> None:
    start_us = start_s(window_of(time_us)) * 1_000_000
    assert start_us <= time_us < start_us + WINDOW_US


@given(TIMES_US)
def test_the_next_window_begins_where_one_ends(time_us: int) -> None:
    end_us = (start_s(window_of(time_us)) + WINDOW_S) * 1_000_000
    assert window_of(end_us - 1) == window_of(time_us)
    assert window_of(end_us) == window_of(time_us) + 1


@given(st.integers(0, 4_102_444_800), st.sampled_from(list(INTERVALS.values())))
def test_a_longer_window_contains_its_times_and_all_of_its_children(time_s: int, interval: Interval) -> None:
    start = interval.start_of(time_s)
    assert start <= time_s < start + interval.seconds
    if interval.children is not None:
        child = INTERVALS[interval.children]
        first = child.start_of(time_s)
        assert start <= first
        assert first + child.seconds <= start + interval.seconds


def test_each_interval_is_rolled_up_from_the_next_shorter_one() -> None:
    names = list(INTERVALS)
    assert INTERVALS[names[0]] == Interval("10s", WINDOW_S, None)
    assert [(interval.children, interval.name) for interval in ROLLUPS] == list(pairwise(names))


@pytest.mark.parametrize(("name", "table"), [("10s", "candles_10s"), ("1d", "candles_1d")])
def test_an_interval_names_its_table(name: str, table: str) -> None:
    assert INTERVALS[name].table == table
