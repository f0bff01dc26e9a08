"""Verdicts on windows: complete as proven by the counted ids, or not, and why.

A window is complete if one run of counted ids reaches over both its edges: the run's lowest trade happened before the
window, and its highest at or after the window's end. Every trade of the window then lies between them. This proof is
two-sided: the trade before the window's first and the trade after its last are known, and no id between is missing.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from typing import Final, NamedTuple

from marketstream.market.candle import HOLE, UNCONFIRMED, UNFILLABLE
from marketstream.market.counted import NO_LIMIT, Run
from marketstream.market.window import window_of

_BEFORE_ALL: Final = -NO_LIMIT
_RANKS: Final = {UNFILLABLE: 1, HOLE: 2}
"""Ranks of the more serious reasons. A proof of any run outranks both; without any claim a window is UNCONFIRMED."""

Ruling = tuple[str | None, int, int]
"""A verdict without its windows: reason, low id and high id."""


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


class Judge:
    """The verdicts on all windows that follow from the runs of an account, lowest first, found in one pass over them.

    `missing` holds the reason for the missing ids between each run and the next. `floor` is the reason for the ids
    below the lowest run. The end of the highest run may advance afterwards; any other change needs a new judge.
    """

    def __init__(self, runs: Sequence[Run], missing: Sequence[str], floor: str) -> None:
        self._highest = runs[-1] if runs else None
        self._starts, self._rulings = _sweep(list(_claims(runs, missing, floor)))

    def window(self, window: int) -> Verdict:
        """Return the verdict on one window."""
        return self.windows(window, window)[0]

    def windows(self, first: int, last: int) -> list[Verdict]:
        """Return the verdicts on the windows `first` to `last`, as few as possible."""
        highest = self._highest
        if highest is not None:
            begin, end = max(first, highest.first_proven), min(last, highest.last_proven)
            if begin <= end:
                proven = Verdict(begin, end, None, highest.low, highest.high)
                return [*self._others(first, begin - 1), proven, *self._others(end + 1, last)]
        return list(self._others(first, last))

    def _others(self, first: int, last: int) -> Iterator[Verdict]:
        """Yield the verdicts on the windows `first` to `last` that the highest run does not prove."""
        index = bisect_right(self._starts, first) - 1
        while first <= last:
            end = self._starts[index + 1] - 1 if index + 1 < len(self._starts) else last
            yield Verdict(first, min(end, last), *self._rulings[index])
            first, index = end + 1, index + 1


class _Claim(NamedTuple):
    """A ruling about the windows `first` to `last`. Where claims overlap, the one with the highest rank holds."""

    first: int
    last: int
    rank: int
    ruling: Ruling


def _claims(runs: Sequence[Run], missing: Sequence[str], floor: str) -> Iterator[_Claim]:
    """Yield the claims of all runs but the highest, and of the missing ids around all runs."""
    if runs and floor in _RANKS:
        yield _Claim(_BEFORE_ALL, window_of(runs[0].low_time), _RANKS[floor], (floor, 0, -1))
    for index, ((run, after), reason) in enumerate(zip(pairwise(runs), missing, strict=True)):
        if run.first_proven <= run.last_proven:
            yield _Claim(run.first_proven, run.last_proven, len(_RANKS) + 1 + index, (None, run.low, run.high))
        first, last = window_of(run.high_time), window_of(after.low_time)
        if reason in _RANKS and first <= last:
            yield _Claim(first, last, _RANKS[reason], (reason, 0, -1))


def _sweep(claims: list[_Claim]) -> tuple[list[int], list[Ruling]]:
    """Return the windows at which the effective ruling changes, in order, and the ruling that applies from each."""
    nothing: Ruling = (UNCONFIRMED, 0, -1)
    starts, rulings = [_BEFORE_ALL], [nothing]
    claims.sort(key=lambda claim: claim.first)
    held: list[tuple[int, int, Ruling]] = []
    begun = 0
    for edge in sorted({claim.first for claim in claims} | {claim.last + 1 for claim in claims}):
        while begun < len(claims) and claims[begun].first == edge:
            claim = claims[begun]
            heappush(held, (-claim.rank, claim.last, claim.ruling))
            begun += 1
        while held and held[0][1] < edge:
            heappop(held)
        ruling = held[0][2] if held else nothing
        if ruling != rulings[-1]:
            starts.append(edge)
            rulings.append(ruling)
    return starts, rulings
