"""Gathers what a feed brings into records, so that fewer of them are sent. Pure: the caller keeps the time."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from marketstream.codec import TradesRecord
from marketstream.exchanges.base import ClockAdvanced, TradesReceived
from marketstream.market.errors import TradeError
from marketstream.market.trade import Trades, join

MOST_TRADES: Final = 500
"""Most trades in one record."""

FAR_US: Final = 24 * 3600 * 1_000_000
"""How far a trade's time may lie before the time of the message that brought it, in µs. More is a mistake of unit."""

AHEAD_US: Final = 60 * 1_000_000
"""How far it may lie after it. Both are the exchange's clock; a trade ahead of its time would close windows that have
not happened."""

Refuse = Callable[[str, int, str, str], None]
"""Is told of trades that are refused: why (one word), how many, their symbol, the whole reason."""


class Packed(NamedTuple):
    """What was gathered of a symbol. `clock_us` is the exchange's clock (Unix µs) as heard after all of `records` and
    everything packed before them, None when it has not been heard yet."""

    symbol: str
    records: list[TradesRecord]
    clock_us: int | None


class Packer:
    """Trades of all symbols of a feed, since they were last taken. The exchange's clock never goes back."""

    def __init__(self, exchange: str, refuse: Refuse, most_trades: int = MOST_TRADES) -> None:
        self._exchange = exchange
        self._refuse = refuse
        self._most = most_trades
        self._gathered: dict[str, list[TradesReceived]] = {}
        self._clocks: dict[str, int] = {}
        self.size = 0
        """How many trades wait to be taken."""

    def hear(self, event: TradesReceived | ClockAdvanced) -> None:
        """Takes in what the feed brought next; trades that cannot be are refused."""
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
        self.size += sum(len(heard.trades) for heard in sound)
        # A message all of whose trades were refused is no witness of the time either.
        if sound:
            self._advance(event.symbol, event.event_us)

    def take(self) -> list[Packed]:
        """Everything since the last call, symbol by symbol, each in the order heard."""
        gathered, self._gathered, self.size = self._gathered, {}, 0
        return [
            Packed(symbol, [self._record(group) for group in _groups(parts, self._most)], self._clocks.get(symbol))
            for symbol, parts in gathered.items()
        ]

    def _record(self, group: list[TradesReceived]) -> TradesRecord:
        last = group[-1]
        return TradesRecord(self._exchange, last.symbol, last.received_us, join([heard.trades for heard in group]))

    def _advance(self, symbol: str, time_us: int) -> None:
        self._clocks[symbol] = max(time_us, self._clocks.get(symbol, 0))

    def _sound(self, heard: TradesReceived, error: TradeError) -> Iterator[TradesReceived]:
        """Those of the trades, one by one, that can be; `error` says what is wrong with them together."""
        size = len(heard.trades)
        columns = (heard.trades.prices, heard.trades.quantities, heard.trades.taker_buys, heard.trades.all_ids())
        if size < 2 or any(len(column) != size for column in columns):
            self._refuse("trade", max(1, size), heard.symbol, str(error))
            return
        for position in range(size):
            one = TradesReceived(
                heard.symbol, heard.trades.cut(position, position + 1), heard.event_us, heard.received_us
            )
            try:
                _check(one)
            except TradeError as reason:
                self._refuse("trade", 1, heard.symbol, str(reason))
            else:
                yield one


def _check(heard: TradesReceived) -> None:
    trades = heard.trades
    trades.check(heard.received_us)
    if min(trades.times) < heard.event_us - FAR_US or max(trades.times) > heard.event_us + AHEAD_US:
        raise TradeError(
            f"times {min(trades.times)} to {max(trades.times)} in a message of {heard.event_us}: expected at most a "
            f"day before it and a minute after it"
        )


def _groups(parts: list[TradesReceived], most: int) -> Iterator[list[TradesReceived]]:
    """The parts as they go into records: of one scale, of at most so many trades."""
    group: list[TradesReceived] = []
    size = 0
    for part in _cut_to(parts, most):
        if group and (size + len(part.trades) > most or _scales(part.trades) != _scales(group[0].trades)):
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
            yield TradesReceived(part.symbol, piece, part.event_us, part.received_us)


def _scales(trades: Trades) -> tuple[int, int]:
    return trades.price_scale, trades.quantity_scale
