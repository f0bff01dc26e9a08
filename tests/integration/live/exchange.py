"""The exchange of these tests: a fake Binance whose time runs fast, and the correct candles of its trades."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Final

from marketstream.market.trade import Trade
from marketstream.market.window import WINDOW_US

from tests.harness.binance.clock import ExchangeClock
from tests.harness.binance.market import Market, ServerAggregate
from tests.harness.binance.server import BinanceServer
from tests.harness.binance.sources import ServerTrade, generated
from tests.harness.model import Row, reference_candles

SPEED: Final = 10
"""Exchange seconds per second: a window takes one second."""

BUSY: Final = "BTCUSDT"
RATES: Final = {BUSY: 10.0, "ETHUSDT": 4.0, "XMRUSDT": 0.05}
"""Trades per exchange second; the last symbol leaves most windows empty."""

SEED: Final = 11
PAST_S: Final = 600
BEHIND_S: Final = 3600
"""Seconds by which the exchange's time is behind ours at the start: although it runs fast, it stays in the past."""

PLACES: Final = 8


class ForgetfulMarket(Market):
    """A market whose history lacks the trades with ids in `lost`, although they happened."""

    lost = range(0)

    def from_id(self, first_id: int, limit: int) -> list[ServerTrade]:
        """Return the remaining trades from `first_id` on."""
        found = super().from_id(first_id, limit + len(self.lost))
        return [trade for trade in found if trade.id not in self.lost][:limit]

    def find_aggregates(
        self, from_id: int | None, start_us: int | None, end_us: int | None, limit: int
    ) -> list[ServerAggregate]:
        """Return the aggregates without a lost trade."""
        found = super().find_aggregates(from_id, start_us, end_us, limit)
        lost = self.lost
        return [one for one in found if not lost or one.last_id < lost.start or one.first_id >= lost.stop]


def live_server(rates: Mapping[str, float] = RATES) -> BinanceServer:
    """Return a fake Binance with these symbols; it runs from `start` to `stop`."""
    start_us = time.time_ns() // 1000 - BEHIND_S * 1_000_000
    server = BinanceServer({}, ExchangeClock(start_us, SPEED))
    for symbol, rate in rates.items():
        source = generated(symbol, SEED, start_us - PAST_S * 1_000_000, rate)
        server.markets[symbol] = ForgetfulMarket(symbol, source)
    return server


class Truth:
    """The correct complete candles, from the server's own trades."""

    def __init__(self, server: BinanceServer) -> None:
        self._server = server
        self._final: dict[tuple[str, int], Row | None] = {}

    def row(self, symbol: str, start_s: int) -> Row | None:
        """Return the candle of the window that starts at `start_s` (Unix s), incomplete until the window has ended."""
        key = symbol, start_s
        if key not in self._final:
            trades = self._server.markets[symbol].trades
            start = bisect_left(trades, start_s * 1_000_000, key=attrgetter("time_us"))
            end = bisect_left(trades, start_s * 1_000_000 + WINDOW_US, key=attrgetter("time_us"))
            around = [trade_of(trade) for trade in trades[max(start - 1, 0) : end + 1]]
            row = _reference([*around, *self._next(symbol, around)]).get(start_s)
            if end == len(trades):
                return row
            self._final[key] = row
        return self._final[key]

    def rows(self, symbol: str, first_id: int, lost: Sequence[int] = ()) -> dict[int, Row]:
        """Return all candles of the trades from `first_id` on, without the `lost` trades."""
        trades = [trade_of(trade) for trade in self._server.markets[symbol].trades if trade.id >= first_id]
        known = [trade for trade in trades if trade.id not in lost]
        return _reference([*known, *self._next(symbol, known)])

    def _next(self, symbol: str, around: Sequence[Trade]) -> list[Trade]:
        """Return a trade that proves the windows between the newest trade and the present, or no trade if not needed.

        The exchange knows that nothing has happened since its newest trade, and reports it. The time of the returned
        trade is the present, or that of the next real trade; it fills no window whose end it proves.
        """
        market = self._server.markets[symbol]
        until_us = min(self._server.clock.now_us(), market.next_us)
        if not around or around[-1].id != market.trades[-1].id:
            return []
        return [around[-1]._replace(id=around[-1].id + 1, time=max(until_us, around[-1].time))]


def trade_of(trade: ServerTrade) -> Trade:
    """Return a trade of the server as the pipeline reads it, at scales of PLACES."""
    price, quantity = (int(Decimal(text).scaleb(PLACES)) for text in (trade.price, trade.quantity))
    return Trade(trade.id, 1, trade.time_us, price, quantity, taker_buy=not trade.buyer_is_maker)


def _reference(trades: Iterable[Trade]) -> dict[int, Row]:
    return reference_candles(trades, PLACES, PLACES)
