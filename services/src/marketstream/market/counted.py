"""The counted trade ids, as runs of consecutive ids with the times at their edges, which prove windows complete."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

from marketstream.market.window import window_of

NO_LIMIT: Final = 2**63
"""An id above all others."""


class Run:
    """The consecutive ids `low` to `high` (both inclusive), all of them counted.

    No trade with an id below `low` happened after `low_time`, which is the time of `low` or of the trade before it.
    No trade with an id above `high` happened until `high_time`, which is the time of `high` or a later time at which
    the exchange knew of no newer trade. Both times are in Unix µs.
    """

    __slots__ = ("high", "high_time", "low", "low_time")

    def __init__(self, low: int, high: int, low_time: int, high_time: int) -> None:
        self.low = low
        self.high = high
        self.low_time = low_time
        self.high_time = high_time

    def __repr__(self) -> str:
        return f"Run({self.low}..{self.high} @ {self.low_time}..{self.high_time})"

    def copy(self) -> "Run":
        """Return an independent run with the same edges."""
        return Run(self.low, self.high, self.low_time, self.high_time)

    @property
    def first_proven(self) -> int:
        """The first window whose trades all lie in this run: the one after that of the lowest trade."""
        return window_of(self.low_time) + 1

    @property
    def last_proven(self) -> int:
        """The last window whose trades all lie in this run: the one before that of the highest trade."""
        return window_of(self.high_time) - 1


class CountedIds:
    """A set of ids as runs, lowest first. Runs never touch each other: adjacent ones are merged."""

    __slots__ = ("_lows", "runs")

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self.runs = list(runs)
        self._lows = [run.low for run in self.runs]

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def index_before(self, trade_id: int) -> int:
        """Return the index of the last run that begins at or before the id, or -1 if there is none."""
        return bisect_right(self._lows, trade_id) - 1

    def overlap(self, low: int, high: int) -> int:
        """Return how many of the ids `low` to `high` (both inclusive) are counted."""
        total = 0
        for index in range(max(self.index_before(low), 0), len(self.runs)):
            run = self.runs[index]
            if run.low > high:
                break
            total += max(0, min(high, run.high) - max(low, run.low) + 1)
        return total

    def add(self, low: int, high: int, low_time: int, high_time: int) -> int:
        """Add the ids `low` to `high`, none of which is counted yet, and return the index of the run that holds them.

        `low_time` and `high_time` are the times of their edges, in Unix µs.
        """
        index = self.index_before(low)
        joins_left = index >= 0 and self.runs[index].high == low - 1
        joins_right = index + 1 < len(self.runs) and self.runs[index + 1].low == high + 1
        if joins_left:
            left = self.runs[index]
            left.high, left.high_time = high, high_time
            if joins_right:
                right = self.runs.pop(index + 1)
                del self._lows[index + 1]
                left.high, left.high_time = right.high, right.high_time
            return index
        index += 1
        if joins_right:
            right = self.runs[index]
            right.low, right.low_time = low, low_time
            self._lows[index] = low
        else:
            self.runs.insert(index, Run(low, high, low_time, high_time))
            self._lows.insert(index, low)
        return index

    def limit_after(self, index: int) -> int:
        """Return the lowest id of the run after the one at `index`, or NO_LIMIT if there is none."""
        return self.runs[index + 1].low if index + 1 < len(self.runs) else NO_LIMIT

    def drop_until(self, trade_id: int) -> None:
        """Forget the runs that end at or before the id."""
        while self.runs and self.runs[0].high <= trade_id:
            del self.runs[0], self._lows[0]
