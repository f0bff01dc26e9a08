"""A reference model: the correct candles, computed from the trades alone, and an in-memory store of commits.

Both are written for clarity, because the fast code and the SQL are compared with them.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from marketstream.market.candle import Candle
from marketstream.market.progress import Commit, Progress
from marketstream.market.trade import Trade
from marketstream.market.window import WINDOW_S, WINDOW_US, Interval

from tests.harness.amounts import to_decimal


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a candle table, without the columns that depend on the history of the row."""

    window_start: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    taker_buy_volume: Decimal
    trade_count: int
    first_trade_id: int
    last_trade_id: int
    complete: bool


def reference_candles(trades: Iterable[Trade], price_scale: int, quantity_scale: int) -> dict[int, Row]:
    """Return the candle of every window with trades or proven empty, by window start in Unix seconds.

    `trades` are those that arrived, each once, with times in the order of their ids.
    """
    ordered = sorted(trades)
    by_window: dict[int, list[Trade]] = defaultdict(list)
    for trade in ordered:
        by_window[trade.time // WINDOW_US].append(trade)
    known = {trade.id: trade for trade in ordered}
    rows = {
        window * WINDOW_S: _row(window, members, _is_complete(window, members, known), price_scale, quantity_scale)
        for window, members in by_window.items()
    }
    for before in ordered:
        after = known.get(before.id + 1)
        if after is not None:
            for window in range(before.time // WINDOW_US + 1, after.time // WINDOW_US):
                rows[window * WINDOW_S] = _empty_row(window * WINDOW_S, before, price_scale)
    return rows


def reference_generations(
    generations: Sequence[Sequence[Trade]], price_scale: int, quantity_scale: int
) -> dict[int, Row]:
    """Return the candles of trades whose ids begin again with each generation, which come in the order of time.

    A window is complete only as the trades of one generation prove it, and if it holds those of no other.
    """
    rows: dict[int, Row] = {}
    for trades in generations:
        rows |= reference_candles(trades, price_scale, quantity_scale)
    by_window: dict[int, list[list[Trade]]] = defaultdict(list)
    for trades in generations:
        for window in {trade.time // WINDOW_US for trade in trades}:
            by_window[window].append([trade for trade in trades if trade.time // WINDOW_US == window])
    for window, parts in by_window.items():
        if len(parts) > 1:
            members = [trade for part in parts for trade in part]
            rows[window * WINDOW_S] = _row(window, members, False, price_scale, quantity_scale)
    return rows


def _is_complete(window: int, members: Sequence[Trade], known: dict[int, Trade]) -> bool:
    ids = [trade.id for trade in members]
    before, after = known.get(min(ids) - 1), known.get(max(ids) + 1)
    return (
        before is not None
        and before.time < window * WINDOW_US
        and after is not None
        and after.time >= (window + 1) * WINDOW_US
        and all(trade_id in known for trade_id in range(min(ids), max(ids) + 1))
    )


def _row(window: int, members: Sequence[Trade], complete: bool, price_scale: int, quantity_scale: int) -> Row:
    first = min(members, key=lambda trade: (trade.time, trade.id))
    last = max(members, key=lambda trade: (trade.time, trade.id))
    prices = [trade.price for trade in members]
    return Row(
        window_start=window * WINDOW_S,
        open=to_decimal(first.price, price_scale),
        high=to_decimal(max(prices), price_scale),
        low=to_decimal(min(prices), price_scale),
        close=to_decimal(last.price, price_scale),
        volume=to_decimal(sum(trade.quantity for trade in members), quantity_scale),
        quote_volume=to_decimal(sum(trade.price * trade.quantity for trade in members), price_scale + quantity_scale),
        taker_buy_volume=to_decimal(sum(trade.quantity for trade in members if trade.taker_buy), quantity_scale),
        trade_count=len(members),
        first_trade_id=min(trade.id for trade in members),
        last_trade_id=max(trade.id for trade in members),
        complete=complete,
    )


def _empty_row(start: int, before: Trade, price_scale: int) -> Row:
    price, nothing = to_decimal(before.price, price_scale), Decimal(0)
    return Row(
        start, price, price, price, price, nothing, nothing, nothing, 0, before.id + 1, before.id, complete=True
    )  # fmt: skip


def row_of_trades(window: int, members: Sequence[Trade], price_scale: int, quantity_scale: int) -> Row:
    """Return the complete row of a window with these trades."""
    return _row(window, members, True, price_scale, quantity_scale)


def empty_row_after(window: int, before: Sequence[Trade], price_scale: int) -> Row:
    """Return the row of an empty window; `before` are the trades of the window with trades before it."""
    last = max(before, key=lambda trade: (trade.time, trade.id))
    last_id = max(trade.id for trade in before)
    return _empty_row(window * WINDOW_S, last._replace(id=last_id), price_scale)


def reference_rollup(children: dict[int, Row], interval: Interval, child_seconds: int) -> dict[int, Row]:
    """Return the candles of a longer interval, by window start, from those of the shorter interval."""
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in children.values():
        groups[interval.start_of(row.window_start)].append(row)
    return {start: _rolled_up(start, rows, interval.seconds // child_seconds) for start, rows in groups.items()}


def _rolled_up(start: int, children: list[Row], expected: int) -> Row:
    children.sort(key=lambda row: row.window_start)
    traded = [row for row in children if row.trade_count] or children
    return Row(
        window_start=start,
        open=traded[0].open,
        high=max(row.high for row in traded),
        low=min(row.low for row in traded),
        close=traded[-1].close,
        volume=sum((row.volume for row in children), Decimal(0)),
        quote_volume=sum((row.quote_volume for row in children), Decimal(0)),
        taker_buy_volume=sum((row.taker_buy_volume for row in children), Decimal(0)),
        trade_count=sum(row.trade_count for row in children),
        first_trade_id=traded[0].first_trade_id,
        last_trade_id=traded[-1].last_trade_id,
        complete=len(children) == expected and all(row.complete for row in children),
    )


@dataclass
class MemoryStore:
    """The effect of commits on PostgreSQL, in dictionaries: the candles of 10 seconds by window number."""

    candles: dict[int, Candle] = field(default_factory=dict)
    reasons: dict[int, str | None] = field(default_factory=dict)
    empty: dict[int, int] = field(default_factory=dict)
    """Windows proven empty, each with the last id before it.

    Each repeats the close of the candle before it, however late that one changes.
    """
    progress: Progress = field(default_factory=Progress)

    def apply(self, commit: Commit) -> None:
        """Store a commit."""
        for candle, reason in commit.candles:
            is_new = candle.window not in self.candles and candle.window not in self.empty
            self._merge(candle)
            self.empty.pop(candle.window, None)
            self._follow(candle)
            self.reasons[candle.window] = reason if is_new else self.reasons.get(candle.window) or "unconfirmed"
        for verdict in commit.verdicts:
            for window in list(self.candles):
                if verdict.first <= window <= verdict.last:
                    stored = self.candles[window]
                    inside = verdict.low_id <= stored.first_id and stored.last_id <= verdict.high_id
                    self._mark(window, verdict.reason if verdict.reason or inside else self.reasons[window])
            if verdict.reason is None:
                for window in range(verdict.first, verdict.last + 1):
                    self._prove_empty(window, verdict.low_id, verdict.high_id)
        self.progress = commit.progress

    def _merge(self, candle: Candle) -> None:
        stored = self.candles.get(candle.window)
        if stored is None:
            self.candles[candle.window] = candle
            return
        scales = max(stored.price_scale, candle.price_scale), max(stored.quantity_scale, candle.quantity_scale)
        stored.rescale(*scales)
        candle.rescale(*scales)
        if (candle.open_time, candle.open_id) < (stored.open_time, stored.open_id):
            stored.open, stored.open_time, stored.open_id = candle.open, candle.open_time, candle.open_id
        if (candle.close_time, candle.close_id) > (stored.close_time, stored.close_id):
            stored.close, stored.close_time, stored.close_id = candle.close, candle.close_time, candle.close_id
        stored.high, stored.low = max(stored.high, candle.high), min(stored.low, candle.low)
        stored.volume += candle.volume
        stored.quote_volume += candle.quote_volume
        stored.taker_buy_volume += candle.taker_buy_volume
        stored.trade_count += candle.trade_count
        stored.first_id = min(stored.first_id, candle.first_id)
        stored.last_id = max(stored.last_id, candle.last_id)

    def _mark(self, window: int, reason: str | None) -> None:
        if self.reasons[window] is not None:  # a proven window stays proven unless its trades change
            self.reasons[window] = reason

    def _prove_empty(self, window: int, low_id: int, high_id: int) -> None:
        before = self._before(window)
        if window in self.candles or window in self.empty or before is None:
            return
        if low_id <= before.close_id <= high_id:
            self.empty[window] = before.last_id if before.last_id <= high_id else before.close_id

    def _follow(self, candle: Candle) -> None:
        """Let the empty windows behind a candle repeat its ids: their prices follow by themselves."""
        after = min((number for number in self.candles if number > candle.window), default=None)
        for window in self.empty:
            if window > candle.window and (after is None or window < after):
                self.empty[window] = self.candles[candle.window].last_id

    def _before(self, window: int) -> Candle | None:
        earlier = max((number for number in self.candles if number < window), default=None)
        return None if earlier is None else self.candles[earlier]

    def rows(self) -> dict[int, Row]:
        """Return the rows by window start in Unix seconds."""
        rows = {
            window * WINDOW_S: Row(
                window_start=window * WINDOW_S,
                open=to_decimal(candle.open, candle.price_scale),
                high=to_decimal(candle.high, candle.price_scale),
                low=to_decimal(candle.low, candle.price_scale),
                close=to_decimal(candle.close, candle.price_scale),
                volume=to_decimal(candle.volume, candle.quantity_scale),
                quote_volume=to_decimal(candle.quote_volume, candle.price_scale + candle.quantity_scale),
                taker_buy_volume=to_decimal(candle.taker_buy_volume, candle.quantity_scale),
                trade_count=candle.trade_count,
                first_trade_id=candle.first_id,
                last_trade_id=candle.last_id,
                complete=self.reasons[window] is None,
            )
            for window, candle in self.candles.items()
        }
        for window, last_id in self.empty.items():
            before = self._before(window)
            assert before is not None
            last = Trade(last_id, 1, 0, before.close, 0, taker_buy=False)
            rows[window * WINDOW_S] = _empty_row(window * WINDOW_S, last, before.price_scale)
        return rows
