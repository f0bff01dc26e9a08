"""What one connection has heard and the reader of the feed has not taken yet, bounded."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from marketstream.exchanges.base import TradesReceived
from marketstream.exchanges.binance import metrics
from marketstream.exchanges.binance.messages import TradeEvent
from marketstream.exchanges.binance.scales import Scales
from marketstream.exchanges.refusals import Refusals
from marketstream.market.errors import NumberError
from marketstream.market.trade import Trades

MOST_TRADES: Final = 50_000
"""Trades that may wait on one connection: some ten seconds of the busiest markets together."""


class Inbox:
    """Takes trades one by one and gives them away by symbol, in the order heard. Calls `wake` when there are some.

    A reader that is too far behind loses the newest: the socket must be read on, or the exchange would end the
    connection, and the history fills the hole.
    """

    def __init__(
        self,
        scales: Mapping[str, Scales],
        refuse: Refusals,
        wake: Callable[[], object],
        most_trades: int = MOST_TRADES,
    ) -> None:
        """`scales` has those of every symbol that may come."""
        self._scales = scales
        self._refuse = refuse
        self._wake = wake
        self._most = most_trades
        self._waiting: dict[str, list[TradeEvent]] = {}
        self._size = 0
        self.clock_us = 0
        """The latest event time heard, Unix µs: the exchange's clock as this connection tells it. 0 before any."""

    def add(self, event: TradeEvent) -> None:
        """Takes in one trade."""
        if self._size >= self._most:
            metrics.OVERFLOW.inc()
            return
        waiting = self._waiting.get(event.symbol)
        if waiting is None:
            if event.symbol not in self._scales:
                self._refuse("symbol", symbol=event.symbol)
                return
            waiting = self._waiting[event.symbol] = []
        waiting.append(event)
        if event.event_us > self.clock_us:
            self.clock_us = event.event_us
        self._size += 1
        if self._size == 1:
            self._wake()

    def take(self) -> list[TradesReceived]:
        """Everything since the last call; an amount that is none is refused. Afterwards nothing up to `clock_us` waits
        here."""
        if not self._size:
            return []
        waiting, self._waiting, self._size = self._waiting, {}, 0
        return [heard for symbol, events in waiting.items() for heard in self._heard(symbol, events)]

    def _heard(self, symbol: str, events: Sequence[TradeEvent]) -> list[TradesReceived]:
        try:
            return [_columns(symbol, events, self._scales[symbol])]
        except NumberError as error:
            if len(events) == 1:
                self._refuse("number", symbol=symbol, id=events[0].id, error=str(error))
                return []
        # One of them is no number: one by one, the others are kept.
        return [heard for event in events for heard in self._heard(symbol, (event,))]


def _columns(symbol: str, events: Sequence[TradeEvent], scales: Scales) -> TradesReceived:
    ids = [event.id for event in events]
    consecutive = ids[-1] - ids[0] == len(ids) - 1 and ids == list(range(ids[0], ids[-1] + 1))
    prices = scales.price.read_all([event.price for event in events])
    quantities = scales.quantity.read_all([event.quantity for event in events])
    trades = Trades(
        scales.price.places,
        scales.quantity.places,
        ids[0],
        [event.time_us for event in events],
        prices,
        quantities,
        # The buyer was the maker: the taker sold.
        bytes([not event.buyer_is_maker for event in events]),
        None if consecutive else ids,
    )
    return TradesReceived(symbol, trades, max([event.event_us for event in events]), events[-1].received_us)
