"""The ledger of one symbol's trade ids: the counted ids, the holes between them and the verdicts that follow.

It keeps two accounts. `counted` holds every id seen. `closed` holds only the ids whose windows are closed, and this is
the account that a commit stores: the other ids are counted again when the log is read from the resume offset.
"""

from bisect import bisect_right
from itertools import pairwise

from marketstream.market.candle import HOLE, UNCONFIRMED, UNFILLABLE, UNORDERED_IDS
from marketstream.market.counted import NO_LIMIT, CountedIds, Run
from marketstream.market.doubts import Doubts, merged
from marketstream.market.generation import Stored, contradicts
from marketstream.market.progress import Progress
from marketstream.market.survey import Survey
from marketstream.market.verdict import Verdict
from marketstream.market.window import window_of


class Ledger:
    """The account of one symbol's trade ids."""

    def __init__(self, progress: Progress, *, max_id_jump: int, max_holes: int) -> None:
        self.counted = CountedIds(run.copy() for run in progress.counted)
        self.closed = CountedIds(run.copy() for run in progress.counted)
        self.closed_until = progress.closed_until
        """Windows with a lower number are closed. The aggregator advances it."""
        self.settled_id = progress.settled_id
        """Ids up to this one are no longer accounted for; -1 if all are."""
        self.generation = progress.generation
        """The number of times that the ids have begun again."""
        self.since_us = progress.since_us
        """Trades from before this time (Unix µs) belong to earlier generations and are no longer accounted for."""
        self.begin_known = progress.begin_known or progress.settled_id >= 0
        """True if the beginning of the account was reached, or never will be. It is not asked for then."""
        self._is_begin_stored = self.begin_known
        self.is_unordered = False
        """True once the exchange was found to skip ids: nothing is proven then, and no id is known to be missing.

        It is not stored: every record of such trades sets it again, and so does a claim whose newest candle says so.
        """
        self.reached_id = -1
        """The greatest id that the exchange itself has named as its newest; -1 before its first answer.

        It is not stored: a new owner asks again.
        """
        self._unfillable = merged(progress.unfillable)
        self._max_id_jump = max_id_jump
        self._max_holes = max_holes
        self._in_doubt = Doubts()
        # The generation of `closed`, until a window of the present generation closes.
        self._earlier: Stored | None = None
        self._survey: Survey | None = None

    @property
    def is_in_doubt(self) -> bool:
        """True if `take_verdicts` has verdicts to return."""
        return bool(self._in_doubt)

    @property
    def fetched_since_us(self) -> int:
        """The time (Unix µs) before which trades of the exchange's history belong to earlier generations.

        It is that of the lowest id of the generation. The history is only asked for ids above it, which are newer.
        """
        is_first = self.generation == 0 or not self.counted.runs
        return self.since_us if is_first else max(self.since_us, self.counted.runs[0].low_time)

    @property
    def lowest_id(self) -> int:
        """The lowest id counted; -1 if there is none."""
        return self.counted.runs[0].low if self.counted.runs else -1

    def count(self, low: int, high: int, low_time: int, high_time: int) -> int:
        """Count the ids `low` to `high`, none of which is counted yet, and return the index of their run in `counted`.

        The closed windows from the trade before these ids to the trade after them are then in doubt.
        """
        before = self.counted.index_before(low)
        runs = self.counted.runs
        if not (runs and before == len(runs) - 1 and runs[-1].high == low - 1):
            self.survey_again()
        first = window_of(runs[before].high_time if before >= 0 else low_time)
        last = window_of(runs[before + 1].low_time if before + 1 < len(runs) else high_time)
        self.doubt(min(first, window_of(low_time)), max(last, window_of(high_time)))
        return self.counted.add(low, high, low_time, high_time)

    def extend(self, run: Run, high: int, high_time: int) -> None:
        """Count the ids after the end of `run` up to `high`, which touch no other run and lie in an open window."""
        run.high, run.high_time = high, high_time
        if run is not self.counted.runs[-1]:
            self.survey_again()

    def survey_again(self) -> None:
        """Note that a run has changed, other than by an advance of the highest run's end."""
        self._survey = None

    def doubt(self, first: int, last: int) -> None:
        """Put the windows `first` to `last` in doubt, so that `take_verdicts` judges them again.

        Open windows among them are left out, because they are judged when they close.
        """
        last = min(last, self.closed_until - 1)
        if first <= last:
            self._in_doubt.add(first, last)

    def close(self, run: Run) -> None:
        """Add the ids of a run, which are counted already, to the account of closed windows.

        A proof about an edge of the run that was applied while its window was open is taken over as well: its record
        now lies before the resume offset, so it will not be read again.
        """
        if self._earlier is not None:
            self.closed, self._earlier = CountedIds(), None
        closed = self.closed.runs[self.closed.add(run.low, run.high, run.low_time, run.high_time)]
        known = self.counted.runs[self.counted.index_before(closed.low)]
        if known.low == closed.low:
            closed.low_time = known.low_time
        if known.high == closed.high:
            closed.high_time = known.high_time

    def out_of_order(self, low: int, high: int, time_us: int) -> bool:
        """Return True if a time of `time_us` for the ids `low` to `high` contradicts the times of the adjacent ids."""
        index = self.counted.index_before(low)
        runs = self.counted.runs
        return (index >= 0 and runs[index].high == low - 1 and runs[index].high_time > time_us) or (
            index + 1 < len(runs) and runs[index + 1].low == high + 1 and runs[index + 1].low_time < time_us
        )

    def confirm_quiet(self, newest_id: int, until_us: int) -> bool:
        """Apply the proof that the exchange had no trade after `newest_id` up to `until_us` (Unix µs).

        If `newest_id` ends the newest run, extend the time of that edge, which proves the windows up to then, and
        return True. Otherwise return False.
        """
        newest = self.newest_run()
        if newest is None or newest.high != newest_id:
            return False
        for account in self._accounts():
            index = account.index_before(newest_id)
            run = account.runs[index] if index >= 0 else None
            if run is not None and run.high == newest_id and run.high_time < until_us:
                self.survey_again()
                self.doubt(window_of(run.high_time), window_of(until_us))
                run.high_time = until_us
        return True

    def confirm_begin(self, lowest_id: int, since_us: int) -> bool:
        """Apply the proof that the trade before `lowest_id` happened at `since_us` (Unix µs).

        If `lowest_id` is the lowest id counted, set the time of that edge and return True. Then the window after that
        of `since_us` is proven, although the trade before it is not counted. Otherwise return False.
        """
        if not self.counted.runs or self.counted.runs[0].low != lowest_id or since_us < self.since_us:
            return False
        for account in self._accounts():
            lowest = account.runs[0] if account.runs else None
            if lowest is not None and lowest.low == lowest_id and since_us < lowest.low_time:
                self.survey_again()
                self.doubt(window_of(since_us), window_of(lowest.low_time))
                lowest.low_time = since_us
        self.begin_known = True
        return True

    def give_up(self, low: int, high: int) -> None:
        """Mark the ids `low` to `high` as unfillable. A hole that consists only of such ids is no longer open."""
        self._unfillable = merged([*self._unfillable, (low, high)])
        self.survey_again()
        index = self.counted.index_before(low)
        if 0 <= index < len(self.counted) - 1:
            before, after = self.counted.runs[index : index + 2]
            self.doubt(window_of(before.high_time), window_of(after.low_time))

    def contradicts(self, low: int, high: int, time_us: int) -> bool:
        """Return True if the ids `low` to `high` at `time_us` (Unix µs) show that the ids have begun again."""
        return contradicts(self.counted, low, high, time_us, self._max_id_jump)

    def begin_generation(self, since_us: int) -> None:
        """Begin a new generation of ids: no id is counted, and trades from before `since_us` (Unix µs) are settled.

        The holes of the earlier one are given up, because their ids mean other trades now. Its account stays the stored
        one until a window of the new generation closes: an owner that starts before then reads the same records again.
        """
        if self._earlier is None:
            self._earlier = self._stored()
        holes = self.holes()
        self._unfillable = merged([*self._unfillable, *holes])
        self.survey_again()
        ends = {low - 1 for low, _ in holes}
        for before, after in pairwise(self.counted):
            if before.high in ends:
                self.doubt(window_of(before.high_time), window_of(after.low_time))
        self._in_doubt.keep(self.take_verdicts())
        self.counted, self.settled_id, self._unfillable = CountedIds(), -1, []
        self.reached_id = -1
        self.begin_known = self._is_begin_stored = True  # ids of the earlier generation may lie below
        self.generation, self.since_us = self.generation + 1, since_us
        self.survey_again()

    def progress(self, resume_offset: int, position: int) -> Progress:
        """Return the progress to store: the account of closed windows, in the generation to which it belongs."""
        stored = self._earlier or self._stored()
        return Progress(
            resume_offset=resume_offset,
            position=position,
            closed_until=self.closed_until,
            counted=tuple(run.copy() for run in self.closed),
            unfillable=stored.unfillable,
            settled_id=stored.settled_id,
            generation=stored.number,
            since_us=stored.since_us,
            begin_known=stored.begin_known,
        )

    def holes(self) -> tuple[tuple[int, int], ...]:
        """Return the ids (first, last) of every hole that may still be filled, oldest first."""
        return () if self.is_unordered else self._surveyed().holes

    def undecided(self) -> tuple[int, ...]:
        """Return the first id after every jump that the exchange has not confirmed, lowest first.

        Either the ids below it are missing, or it is a stray id. The exchange's newest id decides.
        """
        return () if self.is_unordered else self._surveyed().undecided

    def reach(self, newest_id: int) -> bool:
        """Note that the exchange has come to `newest_id`. Return True if it has come beyond a jump of ids.

        Such a jump is a hole then, and the windows around it are in doubt.
        """
        decided = {after_id for after_id in self.undecided() if after_id <= newest_id}
        self.reached_id = max(self.reached_id, newest_id)
        if not decided:
            return False
        self.survey_again()
        for before, after in pairwise(self.counted):
            if after.low in decided:
                self.doubt(window_of(before.high_time), window_of(after.low_time))
        return True

    def newest_run(self) -> Run | None:
        """Return the run that reaches furthest in time, or None.

        It need not be the highest run: a stray id from beyond a jump may lie above it.
        """
        return self._surveyed().newest_run

    def jumps(self, low: int) -> bool:
        """Return True if the id lies so far above the counted ids below it that it may be a stray id."""
        index = self.counted.index_before(low)
        return index >= 0 and low - self.counted.runs[index].high > self._max_id_jump

    def complete(self) -> tuple[int, int] | None:
        """Return the newest windows that are all proven complete, below the first hole, or None if there are none.

        They are given as the first, and the one after the last. Nothing is said about the windows before the first.
        """
        return None if self.is_unordered else self._surveyed().complete

    def reason(self, window: int, first_id: int, last_id: int) -> str | None:
        """Return why a window with the trades `first_id` to `last_id` is not proven complete, or None if it is."""
        if self.is_unordered:
            return UNORDERED_IDS
        verdict = self._surveyed().judge.window(window)
        if verdict.reason is None and not verdict.low_id <= first_id <= last_id <= verdict.high_id:
            return UNCONFIRMED  # a trade from beyond a jump of ids has a time in this window
        return verdict.reason

    def take_verdicts(self) -> list[Verdict]:
        """Return the verdicts on all windows in doubt, which are in doubt no longer."""
        judged, ranges = self._in_doubt.take()
        if self.is_unordered:
            return [*judged, *(Verdict(first, last, UNORDERED_IDS, 0, -1) for first, last in ranges)]
        judge = self._surveyed().judge
        return [*judged, *(verdict for first, last in ranges for verdict in judge.windows(first, last))]

    def prune(self) -> None:
        """Give up the oldest holes if there are too many, and forget the ids below them."""
        while len(self.counted) > self._max_holes + 1 and self._oldest_is_closed():
            before, after = self.counted.runs[:2]
            self.settled_id = after.low - 1
            self.begin_known = True  # trades below are settled, so they would never be counted
            self.survey_again()
            self.counted.drop_until(self.settled_id)
            self.closed.drop_until(self.settled_id)
            self.doubt(window_of(before.high_time), window_of(after.low_time))

    def unfillable(self) -> tuple[tuple[int, int], ...]:
        """Return the ranges of ids marked as unfillable, lowest first.

        Ranges that have been filled after all, or that are no longer accounted for, are removed.
        """
        self._unfillable = [
            (low, high)
            for low, high in self._unfillable
            if low > self.settled_id and self.counted.overlap(low, high) < high - low + 1
        ]
        return tuple(self._unfillable)

    def _surveyed(self) -> Survey:
        if self._survey is None:
            missing = [self._between(before, after) for before, after in pairwise(self.counted)]
            self._survey = Survey(self.counted.runs, missing, self._below())
        return self._survey

    def _between(self, before: Run, after: Run) -> str:
        low, high = before.high + 1, after.low - 1
        index = bisect_right(self._unfillable, (low, NO_LIMIT)) - 1
        if index >= 0 and self._unfillable[index][1] >= high:
            return UNFILLABLE
        is_jump = high - low >= self._max_id_jump and after.low > self.reached_id
        return UNCONFIRMED if is_jump else HOLE

    def _below(self) -> str:
        return UNFILLABLE if self.settled_id >= 0 else UNCONFIRMED

    def _oldest_is_closed(self) -> bool:
        """Return True if no open window holds an id of the oldest run.

        Ids of open windows are counted again after a restart, so they must stay accounted for.
        """
        if self._earlier is not None:
            return False
        oldest = self.counted.runs[0]
        return self.closed.overlap(oldest.low, oldest.high) == oldest.high - oldest.low + 1

    def _stored(self) -> Stored:
        """Return what is stored beside `closed`, if both belong to the present generation."""
        # The beginning is stored with the lowest run and the time of its edge.
        if self.begin_known and self.closed.runs and self.closed.runs[0].low == self.counted.runs[0].low:
            self._is_begin_stored = True
        unfillable = self.unfillable()
        return Stored(self.generation, self.since_us, self.settled_id, unfillable, self._is_begin_stored)

    def _accounts(self) -> tuple[CountedIds, ...]:
        """Return the accounts that hold ids of the present generation."""
        return (self.counted, self.closed) if self._earlier is None else (self.counted,)
