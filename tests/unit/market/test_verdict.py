from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketstream.market.candle import HOLE, UNCONFIRMED, UNFILLABLE
from marketstream.market.counted import CountedIds, Run
from marketstream.market.verdict import Judge, Verdict
from marketstream.market.window import WINDOW_US, window_of

WINDOWS = 12
SEVERITY = [UNCONFIRMED, UNFILLABLE, HOLE]


@st.composite
def accounts(draw: st.DrawFn) -> CountedIds:
    """Draw runs of ids within a few windows, some ids missing between two runs; the times of some have no order."""
    times = draw(st.lists(st.integers(0, WINDOWS * WINDOW_US - 1), max_size=10))
    if draw(st.booleans()):
        times.sort()
    edges = list(zip(times[::2], times[1::2], strict=False))
    return CountedIds(Run(10 * n, 10 * n + 5, low_time, high_time) for n, (low_time, high_time) in enumerate(edges))


def reason_after(run: Run) -> str:
    """Return the reason for the ids that are missing after a run."""
    return SEVERITY[run.low // 10 % 3]


def judge(account: CountedIds, floor: str) -> Judge:
    return Judge(account.runs, [reason_after(run) for run in account.runs[:-1]], floor)


def proofs(account: CountedIds, window: int) -> list[Run]:
    """Return the runs that reach over both edges of a window."""
    return [run for run in account if run.low_time < window * WINDOW_US and run.high_time >= (window + 1) * WINDOW_US]


def plain_verdict(account: CountedIds, window: int, floor: str) -> Verdict:
    """Return the verdict on one window, found by looking at every run."""
    if found := proofs(account, window):
        return Verdict(window, window, None, found[-1].low, found[-1].high)
    reasons = [
        reason_after(before)
        for before, after in pairwise(account)
        if window_of(before.high_time) <= window <= window_of(after.low_time)
    ]
    if account.runs and window <= window_of(account.runs[0].low_time):
        reasons.append(floor)
    return Verdict(window, window, max([UNCONFIRMED, *reasons], key=SEVERITY.index), 0, -1)


@given(accounts(), st.sampled_from([UNCONFIRMED, UNFILLABLE]))
def test_a_window_is_complete_exactly_if_a_run_reaches_over_both_its_edges(account: CountedIds, floor: str) -> None:
    for window in range(WINDOWS):
        assert (judge(account, floor).window(window).reason is None) == bool(proofs(account, window))


@given(accounts(), st.sampled_from([UNCONFIRMED, UNFILLABLE]), st.integers(0, WINDOWS), st.integers(0, WINDOWS))
def test_verdicts_on_a_range_are_those_of_a_look_at_every_run(
    account: CountedIds, floor: str, one: int, other: int
) -> None:
    first, last = sorted((one, other))
    verdicts = judge(account, floor).windows(first, last)
    assert [
        verdict._replace(first=window, last=window)
        for verdict in verdicts
        for window in range(verdict.first, verdict.last + 1)
    ] == [plain_verdict(account, window, floor) for window in range(first, last + 1)]
    assert all(before[2:] != after[2:] for before, after in pairwise(verdicts)), "as few as possible"


@given(accounts(), st.integers(0, 3 * WINDOW_US))
def test_the_end_of_the_highest_run_may_advance_under_a_judge(account: CountedIds, further_us: int) -> None:
    made_before = judge(account, UNCONFIRMED)
    if account.runs:
        account.runs[-1].high += 1
        account.runs[-1].high_time += further_us
    for window in range(WINDOWS + 3):
        assert made_before.window(window) == plain_verdict(account, window, UNCONFIRMED)


@pytest.mark.parametrize("floor", [UNCONFIRMED, UNFILLABLE])
def test_without_any_trade_nothing_is_confirmed(floor: str) -> None:
    assert judge(CountedIds(), floor).window(5).reason == UNCONFIRMED
