"""A bounded buffer of trades between one connection and the reader of the feed."""

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
"""Maximum number of waiting trades of one connection: about ten seconds of the busiest markets together."""


class Inbox:
    """Collects trades one by one and returns them by symbol, in order of arrival. Calls `wake` at the first trade.

    When the inbox is full, further trades are dropped, and the history fills the hole later. The socket must still be
    read: otherwise the exchange would end the connection.
    """

    def __init__(
        self,
        scales: Mapping[str, Scales],
        refuse: Refusals,
        wake: Callable[[], object],
        most_trades: int = MOST_TRADES,
    ) -> None:
        """Start empty. `scales` has the scales of every subscribed symbol."""
        self._scales = scales
        self._refuse = refuse
        self._wake = wake
        self._most = most_trades
        self._waiting: dict[str, list[TradeEvent]] = {}
        self._size = 0
        self.clock_us = 0
        """The exchange's clock on this connection: the latest event time received, in Unix µs; 0 before the first."""

    def add(self, event: TradeEvent) -> None:
        """Add one trade, or drop it if the inbox is full."""
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
        """Return all trades since the last call. Trades with invalid amounts are refused and left out.

        Afterwards no trade up to `clock_us` is waiting.
        """
        if not self._size:
            return []
        waiting, self._waiting, self._size = self._waiting, {}, 0
        return [part for symbol, events in waiting.items() for part in self._parts(symbol, events)]

    def _parts(self, symbol: str, events: Sequence[TradeEvent]) -> list[TradesReceived]:
        try:
            return [_columns(symbol, events, self._scales[symbol])]
        except NumberError as error:
            if len(events) == 1:
                self._refuse("number", symbol=symbol, id=events[0].id, error=str(error))
                return []
        # One of the amounts is invalid: convert the trades one by one, to keep the others.
        return [part for event in events for part in self._parts(symbol, (event,))]


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
