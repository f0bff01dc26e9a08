"""The ledger: which trade ids were counted, what is missing, and what that says of each window.

It keeps two accounts. `counted` holds every id seen; `closed` only those whose windows are closed, which is what a
commit stores: the others are counted again when the log is read from the resume offset.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from operator import attrgetter

from marketstream.market.candle import HOLE, UNCONFIRMED, UNFILLABLE
from marketstream.market.counted import NO_LIMIT, CountedIds, Run
from marketstream.market.progress import Progress
from marketstream.market.verdict import Verdict, judge_range, judge_window
from marketstream.market.window import window_of


class Ledger:
    """The account of one symbol's trade ids."""

    def __init__(self, progress: Progress, *, max_id_jump: int, max_holes: int) -> None:
        self.counted = CountedIds(run.copy() for run in progress.counted)
        self.closed = CountedIds(run.copy() for run in progress.counted)
        self.closed_until = progress.closed_until
        """Windows numbered below it are closed; the aggregator moves it."""
        self.settled_id = progress.settled_id
        """Ids up to it are no longer accounted for."""
        self._unfillable = merged(progress.unfillable)
        self._max_id_jump = max_id_jump
        self._max_holes = max_holes
        # Closed windows whose verdict may have changed since the last commit.
        self._in_doubt: list[tuple[int, int]] = []

    @property
    def is_in_doubt(self) -> bool:
        """Whether there are verdicts to take."""
        return bool(self._in_doubt)

    def count(self, low: int, high: int, low_time: int, high_time: int) -> int:
        """Counts the ids `low` to `high`, none counted before. The index of their run in `counted`.

        The closed windows from the trade before them to the trade after them are in doubt until the next verdicts.
        """
        before = self.counted.index_before(low)
        runs = self.counted.runs
        first = window_of(runs[before].high_time if before >= 0 else low_time)
        last = window_of(runs[before + 1].low_time if before + 1 < len(runs) else high_time)
        self.doubt(min(first, window_of(low_time)), max(last, window_of(high_time)))
        return self.counted.add(low, high, low_time, high_time)

    def extend(self, run: Run, high: int, high_time: int) -> None:
        """Counts the ids after the newest of `run`, whose window is open, up to `high`, which touches no other run."""
        run.high, run.high_time = high, high_time

    def doubt(self, first: int, last: int) -> None:
        """The windows `first` to `last` are judged anew at the next verdicts, but for the open ones: those are judged
        when they close."""
        last = min(last, self.closed_until - 1)
        if first > last:
            return
        if self._in_doubt and self._in_doubt[-1][1] >= first - 1 and self._in_doubt[-1][0] <= last + 1:
            known_first, known_last = self._in_doubt[-1]
            self._in_doubt[-1] = (min(first, known_first), max(last, known_last))
        else:
            self._in_doubt.append((first, last))

    def close(self, run: Run) -> None:
        """Moves the ids of a run, counted before, into the account of closed windows.

        What the exchange proved of an edge while its window was open goes with it: the record of that lies before the
        resume offset from now on, so nobody would read it again.
        """
        closed = self.closed.runs[self.closed.add(run.low, run.high, run.low_time, run.high_time)]
        known = self.counted.runs[self.counted.index_before(closed.low)]
        if known.low == closed.low:
            closed.low_time = known.low_time
        if known.high == closed.high:
            closed.high_time = known.high_time

    def out_of_order(self, low: int, high: int, time_us: int) -> bool:
        """Whether trades with the ids `low` to `high` at `time_us` contradict the times of the ids next to them."""
        index = self.counted.index_before(low)
        runs = self.counted.runs
        return (index >= 0 and runs[index].high == low - 1 and runs[index].high_time > time_us) or (
            index + 1 < len(runs) and runs[index + 1].low == high + 1 and runs[index + 1].low_time < time_us
        )

    def confirm_quiet(self, newest_id: int, until_us: int) -> bool:
        """The exchange knew of no trade after `newest_id` up to `until_us` (Unix µs): when it is our newest as well,
        the windows up to then are proven. Whether it is."""
        newest = self.newest_run()
        if newest is None or newest.high != newest_id:
            return False
        for account in (self.counted, self.closed):
            index = account.index_before(newest_id)
            run = account.runs[index] if index >= 0 else None
            if run is not None and run.high == newest_id and run.high_time < until_us:
                self.doubt(window_of(run.high_time), window_of(until_us))
                run.high_time = until_us
        return True

    def confirm_begin(self, lowest_id: int, since_us: int) -> bool:
        """The trade before `lowest_id` happened at `since_us` (Unix µs): when `lowest_id` is our lowest, the window
        after that time is proven without counting a part of the one before. Whether it is."""
        if not self.counted.runs or self.counted.runs[0].low != lowest_id:
            return False
        for account in (self.counted, self.closed):
            lowest = account.runs[0] if account.runs else None
            if lowest is not None and lowest.low == lowest_id and since_us < lowest.low_time:
                self.doubt(window_of(since_us), window_of(lowest.low_time))
                lowest.low_time = since_us
        return True

    def give_up(self, low: int, high: int) -> None:
        """The ids `low` to `high` will not come: the holes they fill are terminal."""
        self._unfillable = merged([*self._unfillable, (low, high)])
        index = self.counted.index_before(low)
        if 0 <= index < len(self.counted) - 1:
            before, after = self.counted.runs[index : index + 2]
            self.doubt(window_of(before.high_time), window_of(after.low_time))

    def holes(self) -> Iterator[tuple[int, int]]:
        """The ids (first, last) of every hole that may still be filled, oldest first."""
        for before, after in pairwise(self.counted):
            if self._between(before, after) == HOLE:
                yield before.high + 1, after.low - 1

    def newest_run(self) -> Run | None:
        """The run that reaches furthest in time: a stray id from beyond a jump may lie above it."""
        return max(self.counted, key=attrgetter("high_time"), default=None)

    def jumps(self, low: int) -> bool:
        """Whether an id lies so far above all that is counted below it that it begins a new segment."""
        index = self.counted.index_before(low)
        return index >= 0 and low - self.counted.runs[index].high > self._max_id_jump

    def complete_until(self) -> int | None:
        """The window before which, back to the start of the account, a jump of ids or a hole given up, all are proven
        complete."""
        for before, after in pairwise(self.counted):
            if self._between(before, after) == HOLE:
                return window_of(before.high_time)
        newest = self.newest_run()
        return newest.last_proven + 1 if newest is not None else None

    def reason(self, window: int, first_id: int, last_id: int) -> str | None:
        """Why a window with trades `first_id` to `last_id` is not proven complete; None when it is."""
        verdict = judge_window(self.counted, window, self._between, self._below())
        if verdict.reason is None and not verdict.low_id <= first_id <= last_id <= verdict.high_id:
            return UNCONFIRMED  # a trade from beyond a jump of ids has its time in this window
        return verdict.reason

    def take_verdicts(self) -> list[Verdict]:
        """The verdicts on all windows in doubt."""
        ranges, self._in_doubt = merged(self._in_doubt), []
        return [
            verdict
            for first, last in ranges
            for verdict in judge_range(self.counted, first, last, self._between, self._below())
        ]

    def prune(self) -> None:
        """Gives up the oldest holes where there are too many, and forgets what lies below them."""
        while len(self.counted) > self._max_holes + 1 and self._oldest_is_closed():
            before, after = self.counted.runs[:2]
            self.settled_id = after.low - 1
            self.counted.drop_until(self.settled_id)
            self.closed.drop_until(self.settled_id)
            self.doubt(window_of(before.high_time), window_of(after.low_time))

    def unfillable(self) -> tuple[tuple[int, int], ...]:
        """The ids of terminal holes, lowest first, without those that were filled or dropped after all."""
        self._unfillable = [
            (low, high)
            for low, high in self._unfillable
            if low > self.settled_id and self.counted.overlap(low, high) < high - low + 1
        ]
        return tuple(self._unfillable)

    def _between(self, before: Run, after: Run) -> str:
        low, high = before.high + 1, after.low - 1
        if high - low >= self._max_id_jump:
            return UNCONFIRMED  # the jump starts a new segment
        index = bisect_right(self._unfillable, (low, NO_LIMIT)) - 1
        return UNFILLABLE if index >= 0 and self._unfillable[index][1] >= high else HOLE

    def _below(self) -> str:
        return UNFILLABLE if self.settled_id >= 0 else UNCONFIRMED

    def _oldest_is_closed(self) -> bool:
        """Whether no open window holds an id of the oldest run: those are counted again after a restart."""
        oldest = self.counted.runs[0]
        return self.closed.overlap(oldest.low, oldest.high) == oldest.high - oldest.low + 1


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges (first, last) in order, those that overlap or touch as one."""
    result: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result
