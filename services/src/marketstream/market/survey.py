"""A survey of the runs of an account: its holes, its newest run and its verdicts, each found in one pass."""

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from operator import attrgetter

from marketstream.market.candle import HOLE, UNCONFIRMED
from marketstream.market.counted import Run
from marketstream.market.verdict import Judge
from marketstream.market.window import window_of


class Survey:
    """The conclusions from runs, lowest first; `missing` and `floor` are the arguments of a Judge.

    They are kept while runs only grow at the end of the highest one, as they do with every live trade. That end is read
    from the run itself, so it may advance. After any other change of the runs a new survey is needed.
    """

    def __init__(self, runs: Sequence[Run], missing: Sequence[str], floor: str) -> None:
        self._runs = tuple(runs)
        self._missing = missing
        self._floor = floor

    @cached_property
    def judge(self) -> Judge:
        """The judge of the windows."""
        return Judge(self._runs, self._missing, self._floor)

    @cached_property
    def holes(self) -> tuple[tuple[int, int], ...]:
        """The ids (first, last) of every hole that may still be filled, oldest first."""
        pairs = zip(pairwise(self._runs), self._missing, strict=True)
        return tuple((before.high + 1, after.low - 1) for (before, after), reason in pairs if reason == HOLE)

    @cached_property
    def undecided(self) -> tuple[int, ...]:
        """The first id after every jump of ids, lowest first."""
        return tuple(
            run.low for run, reason in zip(self._runs[1:], self._missing, strict=True) if reason == UNCONFIRMED
        )

    @property
    def newest_run(self) -> Run | None:
        """The run that reaches furthest in time, or None if there is no run."""
        below, highest = self._newest_below, self._runs[-1] if self._runs else None
        return below if highest is None or (below is not None and below.high_time >= highest.high_time) else highest

    @property
    def complete(self) -> tuple[int, int] | None:
        """The newest windows that one run proves, below the first hole, or None: the first, and the one after the last.

        They begin after the last window into which a stray id of another run may fall.
        """
        best, highest = self._newest_proof, self._runs[-1] if self._runs and self._first_hole is None else None
        if highest is not None and _proves(highest) and (best is None or best.high_time < highest.high_time):
            best = highest
        if best is None:
            return None
        first, until = best.first_proven, best.last_proven + 1
        if self._beyond_hole is not None:
            until = min(until, self._beyond_hole)
        edges = self._edges
        newest = bisect_left(edges, until) - 1
        if newest >= 0:
            first = max(first, edges[newest] + 1)
        top = self._runs[-1]
        if best is not top:
            first = max(first, *(edge + 1 for edge in map(window_of, (top.low_time, top.high_time)) if edge < until), 0)
        return (first, until) if first < until else None

    @cached_property
    def _first_hole(self) -> int | None:
        """The index of the run below the first hole, or None if there is no hole."""
        return self._missing.index(HOLE) if HOLE in self._missing else None

    @cached_property
    def _newest_proof(self) -> Run | None:
        """The run that reaches furthest in time of those below the first hole, and below the highest, with a proof."""
        end = len(self._runs) - 1 if self._first_hole is None else self._first_hole + 1
        return max(filter(_proves, self._runs[: max(end, 0)]), key=attrgetter("high_time"), default=None)

    @cached_property
    def _edges(self) -> list[int]:
        """The windows in which the runs below the highest begin and end, lowest first."""
        return sorted(window_of(time_us) for run in self._runs[:-1] for time_us in (run.low_time, run.high_time))

    @cached_property
    def _beyond_hole(self) -> int | None:
        """The first window with a trade of a run above the first hole, or None if there is no hole."""
        if self._first_hole is None:
            return None
        return min(window_of(run.low_time) for run in self._runs[self._first_hole + 1 :])

    @cached_property
    def _newest_below(self) -> Run | None:
        """The run that reaches furthest in time, apart from the highest run."""
        return max(self._runs[:-1], key=attrgetter("high_time"), default=None)


def _proves(run: Run) -> bool:
    return run.first_proven <= run.last_proven
