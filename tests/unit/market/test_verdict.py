from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketstream.market.candle import HOLE, UNCONFIRMED, UNFILLABLE
from marketstream.market.counted import CountedIds, Run
from marketstream.market.verdict import judge_range, judge_window
from marketstream.market.window import WINDOW_US, window_of

WINDOWS = 12
SEVERITY = [UNCONFIRMED, UNFILLABLE, HOLE]


@st.composite
def accounts(draw: st.DrawFn) -> CountedIds:
    """Draw runs of ids within a few windows, with times in the order of the ids, some ids missing between two runs."""
    times = sorted(draw(st.lists(st.integers(0, WINDOWS * WINDOW_US - 1), max_size=10)))
    edges = list(zip(times[::2], times[1::2], strict=False))
    return CountedIds(Run(10 * n, 10 * n + 5, low_time, high_time) for n, (low_time, high_time) in enumerate(edges))


def reason_between(before: Run, _: Run) -> str:
    return SEVERITY[before.low // 10 % 3]


@given(accounts(), st.sampled_from([UNCONFIRMED, UNFILLABLE]))
def test_a_window_is_complete_exactly_if_a_run_reaches_over_both_its_edges(account: CountedIds, floor: str) -> None:
    for window in range(WINDOWS):
        verdict = judge_window(account, window, reason_between, floor)
        proofs = [
            run for run in account if run.low_time < window * WINDOW_US and run.high_time >= (window + 1) * WINDOW_US
        ]
        assert (verdict.reason is None) == bool(proofs)
        if proofs:
            assert (verdict.low_id, verdict.high_id) in [(run.low, run.high) for run in proofs]


@given(accounts(), st.sampled_from([UNCONFIRMED, UNFILLABLE]))
def test_the_reason_is_the_worst_of_those_that_touch_the_window(account: CountedIds, floor: str) -> None:
    for window in range(WINDOWS):
        verdict = judge_window(account, window, reason_between, floor)
        if verdict.reason is None:
            continue
        reasons = [
            reason_between(before, after)
            for before, after in pairwise(account)
            if window_of(before.high_time) <= window <= window_of(after.low_time)
        ]
        if account.runs and window <= window_of(account.runs[0].low_time):
            reasons.append(floor)
        assert verdict.reason == max([UNCONFIRMED, *reasons], key=SEVERITY.index)


@given(accounts(), st.integers(0, WINDOWS), st.integers(0, WINDOWS))
def test_verdicts_on_a_range_say_the_same_as_those_on_its_windows(account: CountedIds, one: int, other: int) -> None:
    first, last = sorted((one, other))
    verdicts = judge_range(account, first, last, reason_between, UNCONFIRMED)
    single = [judge_window(account, window, reason_between, UNCONFIRMED) for window in range(first, last + 1)]
    assert [
        verdict._replace(first=window, last=window)
        for verdict in verdicts
        for window in range(verdict.first, verdict.last + 1)
    ] == single
    assert all(before[2:] != after[2:] for before, after in pairwise(verdicts)), "as few as possible"


@pytest.mark.parametrize("floor", [UNCONFIRMED, UNFILLABLE])
def test_without_any_trade_nothing_is_confirmed(floor: str) -> None:
    assert judge_window(CountedIds(), 5, reason_between, floor).reason == UNCONFIRMED
