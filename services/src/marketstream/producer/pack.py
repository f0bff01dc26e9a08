"""Pack the trades of a feed into fewer records. Pure: the caller keeps the time."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec

from marketstream.codec import TradesRecord, UnorderedRecord
from marketstream.exchanges.base import ClockAdvanced, TradesReceived
from marketstream.market.errors import TradeError
from marketstream.market.trade import join

MOST_TRADES: Final = 500
"""Maximum number of trades in one record."""

FAR_US: Final = 24 * 3600 * 1_000_000
"""Maximum µs by which a trade may be earlier than its message. More means that a time is in a wrong unit."""

AHEAD_US: Final = 60 * 1_000_000
"""Maximum µs by which a trade may be later than its message; both times are by the exchange's clock.

A trade too far ahead would close windows that have not happened yet.
"""

Refuse = Callable[[str, int, str, str], None]
"""Called for refused trades with the reason (one word), their number, their symbol and the full error."""


class Packed(NamedTuple):
    """The packed records of a symbol.

    `clock_us` is the exchange's clock (Unix µs) as received after all of `records` and after everything packed before
    them. It is None before the first reading of the clock.
    """

    symbol: str
    records: list[TradesRecord]
    clock_us: int | None


class Packer:
    """Collects the trades of all symbols of a feed until they are taken. A symbol's clock never goes back."""

    def __init__(self, exchange: str, refuse: Refuse, most_trades: int = MOST_TRADES) -> None:
        self._exchange = exchange
        self._refuse = refuse
        self._most = most_trades
        self._gathered: dict[str, list[TradesReceived]] = {}
        self._clocks: dict[str, int] = {}
        self.size = 0
        """The number of trades that wait to be taken."""

    def add(self, event: TradesReceived | ClockAdvanced) -> None:
        """Add the next event of the feed. Trades that cannot be true are refused."""
        gathered = self._gathered.setdefault(event.symbol, [])
        if isinstance(event, ClockAdvanced):
            self._advance(event.symbol, event.time_us)
            return
        try:
            _check(event)
            sound = [event]
        except TradeError as error:
            sound = list(self._sound(event, error))
        gathered += sound
        self.size += sum(len(part.trades) for part in sound)
        # If all trades of a message were refused, its time is not trusted either.
        if sound:
            self._advance(event.symbol, event.event_us)

    def take(self) -> list[Packed]:
        """Return everything added since the last call, by symbol, in the order in which it was added."""
        gathered, self._gathered, self.size = self._gathered, {}, 0
        return [
            Packed(symbol, [self._record(group) for group in _groups(parts, self._most)], self._clocks.get(symbol))
            for symbol, parts in gathered.items()
        ]

    def _record(self, group: list[TradesReceived]) -> TradesRecord:
        last = group[-1]
        kind = UnorderedRecord if last.is_unordered else TradesRecord
        return kind(self._exchange, last.symbol, last.received_us, join([part.trades for part in group]))

    def _advance(self, symbol: str, time_us: int) -> None:
        self._clocks[symbol] = max(time_us, self._clocks.get(symbol, 0))

    def _sound(self, received: TradesReceived, error: TradeError) -> Iterator[TradesReceived]:
        """Yield the trades that can be true, one by one, and refuse the others; `error` is their joint error."""
        trades = received.trades
        size = len(trades)
        columns = (trades.prices, trades.quantities, trades.taker_buys, trades.all_ids())
        if size < 2 or any(len(column) != size for column in columns):
            self._refuse("trade", max(1, size), received.symbol, str(error))
            return
        for position in range(size):
            one = msgspec.structs.replace(received, trades=trades.cut(position, position + 1))
            try:
                _check(one)
            except TradeError as reason:
                self._refuse("trade", 1, received.symbol, str(reason))
            else:
                yield one


def last_id(record: TradesRecord) -> int:
    """Return the highest id of the trades of a record."""
    ids, counts = record.trades.all_ids(), record.trades.counts
    if counts is None:
        return ids[-1] if isinstance(ids, range) else max(ids)
    return max(first + count for first, count in zip(ids, counts, strict=True)) - 1


def _check(received: TradesReceived) -> None:
    trades = received.trades
    trades.check(received.received_us)
    if min(trades.times) < received.event_us - FAR_US or max(trades.times) > received.event_us + AHEAD_US:
        raise TradeError(
            f"times from {min(trades.times)} to {max(trades.times)} in a message of {received.event_us}: "
            f"expected at most a day before it and a minute after it"
        )


def _groups(parts: list[TradesReceived], most: int) -> Iterator[list[TradesReceived]]:
    """Yield the parts of each record: all at the same scales and with ids of one kind, with at most `most` trades."""
    group: list[TradesReceived] = []
    size = 0
    for part in _cut_to(parts, most):
        if group and (size + len(part.trades) > most or _form(part) != _form(group[0])):
            yield group
            group, size = [], 0
        group.append(part)
        size += len(part.trades)
    if group:
        yield group


def _cut_to(parts: list[TradesReceived], most: int) -> Iterator[TradesReceived]:
    for part in parts:
        if len(part.trades) <= most:
            yield part
            continue
        for start in range(0, len(part.trades), most):
            piece = part.trades.cut(start, start + most)
            yield msgspec.structs.replace(part, trades=piece)


def _form(part: TradesReceived) -> tuple[int, int, bool]:
    return part.trades.price_scale, part.trades.quantity_scale, part.is_unordered
