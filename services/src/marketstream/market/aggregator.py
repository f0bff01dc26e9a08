"""Aggregation of one symbol's records into candles: the processor's work on a topic, without its I/O.

Windows close by the order of the records (trade times and heartbeats, plus a grace), never by a local clock. Reading
the same log again therefore gives the same candles.
"""

from bisect import bisect_left
from typing import Final

from marketstream.market.candle import Candle
from marketstream.market.closed_candles import ClosedCandles
from marketstream.market.counted import NO_LIMIT, CountedIds, Run
from marketstream.market.counters import Counters
from marketstream.market.generation import FAR_US, GenerationBegun, since
from marketstream.market.ledger import Ledger
from marketstream.market.open_window import OpenWindow
from marketstream.market.progress import Commit, Progress
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_US, window_of


class Aggregator:
    """The windows and the ledger of one symbol."""

    def __init__(self, progress: Progress, *, grace_us: int, max_id_jump: int, max_holes: int) -> None:
        self.ledger: Final = Ledger(progress, max_id_jump=max_id_jump, max_holes=max_holes)
        self.counters: Final = Counters()
        # The newest closed window was closed by an exchange time at least a grace after its end.
        self._heard_us = progress.closed_until * WINDOW_US + grace_us if progress.closed_until else 0
        self._grace_us: Final = grace_us
        self._open: dict[int, OpenWindow] = {}
        self._closed: Final = ClosedCandles()
        self.begun: Final[list[GenerationBegun]] = []
        """The generations that have begun since the caller last cleared this list."""
        # The next record most likely extends these: a window, the window's newest run, and the same run in the ledger.
        self._window: OpenWindow | None = None
        self._window_run = self._run = Run(0, -1, 0, 0)
        self._limit = NO_LIMIT
        self._closes_next_us = 0

    @property
    def heard_us(self) -> int:
        """The latest exchange time of any trade, heartbeat or proof of a quiet market, in Unix µs."""
        newest = self.newest()
        return max(self._heard_us, newest.close_time) if newest else self._heard_us

    @property
    def pending(self) -> int:
        """The number of candles that wait for a commit."""
        return len(self._closed)

    @property
    def is_due(self) -> bool:
        """True if candles or verdicts wait for a commit."""
        return bool(self._closed) or self.ledger.is_in_doubt

    def newest(self) -> Candle | None:
        """Return the candle with the newest trade: the newest open one, else the newest that this aggregator closed."""
        return self._open[max(self._open)].candle if self._open else self._closed.newest

    def open_candle(self) -> Candle | None:
        """Return the candle of the newest open window, or None if no window is open."""
        return self._open[max(self._open)].candle if self._open else None

    def apply(self, trades: Trades, offset: int, received_us: int) -> None:
        """Count the trades of the record at `offset`, as decoded by the codec; `received_us` is in Unix µs.

        Raise TradeError, without counting any of them, if they cannot be trades.
        """
        if self._extend_current(trades):
            return
        trades.check(received_us)
        if self._extend_across(trades, offset) or self._skip_known(trades):
            return
        for trade in trades:
            self._count_one(trade, trades.price_scale, trades.quantity_scale, offset)
        self._advance(max(trades.times))

    def heartbeat(self, closes_before_us: int) -> None:
        """Close the windows that ended at least a grace before `closes_before_us` (Unix µs, the exchange's clock).

        No trade with an earlier time is still expected. A heartbeat proves nothing about the windows it closes.
        """
        self._advance(closes_before_us)

    def quiet(self, newest_id: int, until_us: int) -> None:
        """Apply the proof that the exchange had no trade after `newest_id` up to `until_us` (Unix µs).

        If `newest_id` is the newest trade counted, the windows up to then are proven and close. If it is not, trades
        are missing, and no window closes until they have had a chance to arrive.
        """
        if self.ledger.confirm_quiet(newest_id, until_us):
            self._advance(until_us)

    def take(self, position: int) -> Commit:
        """Return everything to store since the last call; `position` is the offset after the last record applied.

        The returned commit must be stored before the next one, or this aggregator must be discarded.
        """
        candles = self._closed.take(self.ledger)
        verdicts = self.ledger.take_verdicts()
        resume_offset = min((window.first_offset for window in self._open.values()), default=position)
        progress = self.ledger.progress(resume_offset, position)
        self.ledger.prune()  # its changes belong to the next commit
        return Commit(candles=candles, verdicts=verdicts, progress=progress)

    def _extend_current(self, trades: Trades) -> bool:
        """Count trades that follow the last one in id and time, in the same window and at its scales: the fast path.

        Return False, without counting anything, for any other trades.
        """
        window = self._window
        run = self._run
        times = trades.times
        if window is None or trades.first_id != run.high + 1 or trades.ids is not None or trades.counts is not None:
            return False
        size = len(times)
        prices, quantities = trades.prices, trades.quantities
        candle = window.candle
        if (
            not len(prices) == len(quantities) == len(trades.taker_buys) == size > 0
            or trades.price_scale != candle.price_scale
            or trades.quantity_scale != candle.quantity_scale
            or run.high != candle.last_id
            or times[0] < candle.close_time
            or (last_time := times[-1]) >= window.end_us
            or (last_id := run.high + size) + 1 >= self._limit
        ):
            return False
        if size == 1:
            low = high = prices[0]
        else:
            low, high = min(prices), max(prices)
            if times != sorted(times):
                return False
        if low <= 0:
            return False
        candle.extend(trades, high, low, last_id)
        window_run = self._window_run
        run.high = window_run.high = last_id
        run.high_time = window_run.high_time = last_time
        if self._limit != NO_LIMIT:
            self.ledger.survey_again()
        self.counters.counted += size
        if last_time >= self._closes_next_us:
            self._advance(last_time)
        return True

    def _extend_across(self, trades: Trades, offset: int) -> bool:
        """Count trades that follow the last one in id and time but reach into new windows, a part for each window.

        Return False, without counting anything, if they do not follow the last trade.
        """
        run, times = self._run, trades.times
        last_id = run.high + len(times)
        if (
            self._window is None
            or trades.ids is not None
            or trades.counts is not None
            or trades.first_id != run.high + 1
            or last_id + 1 >= self._limit
            or times[0] < run.high_time
            or window_of(times[0]) < self.ledger.closed_until
            or times != sorted(times)
        ):
            return False
        start = 0
        while start < len(times):
            window = window_of(times[start])
            end = bisect_left(times, (window + 1) * WINDOW_US, start)
            self._extend_part(trades.cut(start, end), window, offset)
            start = end
        self.counters.counted += len(times)
        self._advance(times[-1])
        return True

    def _extend_part(self, part: Trades, window: int, offset: int) -> None:
        """Count plain columns that lie in one window and follow the last trade counted."""
        last_id, last_time = part.first_id + len(part) - 1, part.times[-1]
        self.ledger.extend(self._run, last_id, last_time)
        opened = self._open.get(window)
        if opened is None:
            first = next(iter(part))
            opened = self._open[window] = OpenWindow(
                Candle(window, part.price_scale, part.quantity_scale, first), offset
            )
            if len(part) > 1:
                rest = part.cut(1, len(part))
                opened.candle.extend(rest, max(rest.prices), min(rest.prices), last_id)
        elif opened.candle.can_extend(part):
            opened.candle.extend(part, max(part.prices), min(part.prices), last_id)
        else:  # other scales, or trades with higher ids arrived earlier
            for trade in part:
                opened.candle.count(trade, part.price_scale, part.quantity_scale)
        index = opened.ids.add(part.first_id, last_id, part.times[0], last_time)
        self._window, self._window_run = opened, opened.ids.runs[index]

    def _skip_known(self, trades: Trades) -> bool:
        """Skip plain columns that are all counted already, as after a restart, without a loop over the trades.

        Return False, without skipping anything, for any other trades.
        """
        size = len(trades)
        if trades.ids is not None or trades.counts is not None:
            return False
        counted = self.ledger.counted
        if counted.overlap(trades.first_id, trades.first_id + size - 1) < size:
            return False
        known = counted.runs[counted.index_before(trades.first_id)]
        if max(trades.times) > known.high_time + FAR_US:
            return False  # they may begin a new generation
        self.counters.duplicate += size
        return True

    def _count_one(self, trade: Trade, price_scale: int, quantity_scale: int, offset: int) -> None:
        """Count one entry with any id and any time: the general path."""
        ledger, counters = self.ledger, self.counters
        low, high, time = trade.id, trade.id + trade.n - 1, trade.time
        if time < (ledger.since_us if low < ledger.lowest_id else ledger.fetched_since_us):
            counters.settled += trade.n
            return
        if ledger.contradicts(low, high, time) and max(self._open, default=0) <= window_of(time):
            self._begin_generation(low, time)
        if low <= ledger.settled_id:
            counters.settled += trade.n
            return
        known = ledger.counted.overlap(low, high)
        if known:
            if known == trade.n:
                counters.duplicate += known
            else:
                counters.partial += trade.n
            return
        counters.counted += trade.n
        counters.unordered += trade.n * ledger.out_of_order(low, high, time)
        counters.jumped += trade.n * ledger.jumps(low)
        index = ledger.count(low, high, time, time)
        window = window_of(time)
        if window < self.ledger.closed_until:
            counters.late += trade.n
            ledger.close(Run(low, high, time, time))
            self._closed.correct(window, trade, price_scale, quantity_scale)
            # Runs in the ledger may have been joined, so the run that the next record extends is unknown.
            self._window = None
            return
        opened = self._open.get(window)
        if opened is None:
            opened = self._open[window] = OpenWindow(Candle(window, price_scale, quantity_scale, trade), offset)
        else:
            opened.candle.count(trade, price_scale, quantity_scale)
        window_index = opened.ids.add(low, high, time, time)
        self._window, self._window_run = opened, opened.ids.runs[window_index]
        self._run, self._limit = ledger.counted.runs[index], ledger.counted.limit_after(index)
        if self._run.high != high or self._window_run.high != high:
            self._window = None  # the entry filled a hole, so the next record extends another run

    def _begin_generation(self, first_id: int, time_us: int) -> None:
        """Begin a new generation of ids with the trade `first_id` at `time_us` (Unix µs), the newest trade of all.

        The windows before that of the trade close under the ids counted so far. Its own window, if trades of the
        earlier generation are in it, keeps them, but is never proven: it begins before the new ids.
        """
        ledger, window = self.ledger, window_of(time_us)
        if window > ledger.closed_until:
            self._close_until(window)
        since_us = since(ledger.counted, time_us)
        if (mixed := self._open.get(window)) is not None:
            since_us = max(since_us, window * WINDOW_US)
            mixed.ids = CountedIds()
        self._closed.judge(ledger)
        newest = ledger.newest_run()
        ledger.begin_generation(since_us)
        self._window = None
        self.begun.append(GenerationBegun(ledger.generation, newest.high if newest else -1, first_id, time_us))

    def _advance(self, time_us: int) -> None:
        """Advance the watermark to `time_us` and close the windows that ended at least a grace before it."""
        self._heard_us = max(self._heard_us, time_us)
        closed_until = window_of(self._heard_us - self._grace_us)
        if closed_until > self.ledger.closed_until:
            self._close_until(closed_until)
        self._closes_next_us = (self.ledger.closed_until + 1) * WINDOW_US + self._grace_us

    def _close_until(self, closed_until: int) -> None:
        empty_from = self.ledger.closed_until
        self.ledger.closed_until = closed_until
        for number in sorted(window for window in self._open if window < closed_until):
            window = self._open.pop(number)
            self._closed.add(window.candle)
            for run in window.ids:
                self.ledger.close(run)
            if window is self._window:
                self._window = None
            self.ledger.doubt(empty_from, number - 1)
            empty_from = number + 1
        self.ledger.doubt(empty_from, closed_until - 1)
