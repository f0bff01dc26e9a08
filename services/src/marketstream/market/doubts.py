"""The closed windows in doubt: their verdicts may have changed since the last commit."""

from collections.abc import Iterable, Sequence

from marketstream.market.verdict import Verdict

Ranges = list[tuple[int, int]]
"""Ranges (first, last), both inclusive."""


class Doubts:
    """The windows to judge at the next commit, and the verdicts of an earlier generation that wait for it."""

    def __init__(self) -> None:
        self._ranges: Ranges = []
        self._judged: list[Verdict] = []

    def __bool__(self) -> bool:
        return bool(self._ranges or self._judged)

    def add(self, first: int, last: int) -> None:
        """Add the windows `first` to `last`."""
        if self._ranges and self._ranges[-1][1] >= first - 1 and self._ranges[-1][0] <= last + 1:
            known_first, known_last = self._ranges[-1]
            self._ranges[-1] = (min(first, known_first), max(last, known_last))
        else:
            self._ranges.append((first, last))

    def keep(self, verdicts: list[Verdict]) -> None:
        """Keep verdicts until the next call of `take`. Windows that are added meanwhile are judged anew."""
        self._judged = verdicts

    def take(self) -> tuple[list[Verdict], Ranges]:
        """Return the verdicts kept, and the windows to judge, which are in doubt no longer. They are disjoint."""
        ranges = merged(self._ranges)
        judged = outside(self._judged, ranges)
        self._ranges, self._judged = [], []
        return judged, ranges


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return the ranges (first, last) in order, with those that overlap or touch merged."""
    result: Ranges = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result


def outside(verdicts: Iterable[Verdict], ranges: Sequence[tuple[int, int]]) -> list[Verdict]:
    """Return the verdicts, limited to windows outside the ranges (first, last), which are in order and disjoint."""
    left = []
    for verdict in verdicts:
        first = verdict.first
        for begin, end in ranges:
            if begin > verdict.last or end < first:
                continue
            if first < begin:
                left.append(verdict._replace(first=first, last=begin - 1))
            first = end + 1
        if first <= verdict.last:
            left.append(verdict._replace(first=first))
    return left
