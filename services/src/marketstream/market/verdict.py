"""Verdicts on windows: complete as proven by the counted ids, or not, and why.

A window is complete if one run of counted ids reaches over both its edges: the run's lowest trade happened before the
window, and its highest at or after the window's end. Every trade of the window then lies between them. This proof is
two-sided: the trade before the window's first and the trade after its last are known, and no id between is missing.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Final, NamedTuple

from marketstream.market.candle import HOLE, UNCONFIRMED, UNFILLABLE
from marketstream.market.counted import CountedIds, Run
from marketstream.market.window import window_of

_SEVERITY: Final = {UNCONFIRMED: 0, UNFILLABLE: 1, HOLE: 2}


class Verdict(NamedTuple):
    """A verdict on the windows `first` to `last`.

    If `reason` is None, they are complete as far as the ids of their trades lie in `low_id` to `high_id`. Otherwise
    they are not complete, for that reason.
    """

    first: int
    last: int
    reason: str | None
    low_id: int
    high_id: int


def judge_window(counted: CountedIds, window: int, reason_between: Callable[[Run, Run], str], floor: str) -> Verdict:
    """Return the verdict on one window.

    `reason_between` returns the reason for the missing ids between two neighbouring runs. `floor` is the reason for
    the ids below the lowest run.
    """
    for run in reversed(counted.runs):  # newest first: that is where windows close
        if run.first_proven <= window <= run.last_proven:
            return Verdict(window, window, None, run.low, run.high)
    reasons = [UNCONFIRMED]
    if counted.runs and window <= window_of(counted.runs[0].low_time):
        reasons.append(floor)
    for before, after in pairwise(counted):
        if window_of(before.high_time) <= window <= window_of(after.low_time):
            reasons.append(reason_between(before, after))
    return Verdict(window, window, max(reasons, key=_SEVERITY.__getitem__), 0, -1)


def judge_range(
    counted: CountedIds, first: int, last: int, reason_between: Callable[[Run, Run], str], floor: str
) -> list[Verdict]:
    """Return the verdicts on the windows `first` to `last`, as few as possible; arguments as for judge_window.

    Between two edges of runs the verdict is the same for all windows, so only the windows at edges are judged.
    """
    edges = {first}
    for run in counted:
        low, high = window_of(run.low_time), window_of(run.high_time)
        edges.update(edge for edge in (low, low + 1, high, high + 1) if first < edge <= last)
    starts = sorted(edges)
    verdicts: list[Verdict] = []
    for start, after in zip(starts, [*starts[1:], last + 1], strict=True):
        verdict = judge_window(counted, start, reason_between, floor)._replace(last=after - 1)
        if verdicts and verdicts[-1][2:] == verdict[2:]:
            verdict = verdict._replace(first=verdicts.pop().first)
        verdicts.append(verdict)
    return verdicts
