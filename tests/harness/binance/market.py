"""One symbol of the exchange: its trades so far, and the queries for them."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from tests.harness.binance.sources import ServerTrade

NEVER_US = 2**63

INTERVALS_S = {
    "1s": 1, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "2h": 7200, "4h": 14400,
    "6h": 21600, "8h": 28800, "12h": 43200, "1d": 86400,
}  # fmt: skip
"""The intervals of klines. Binance offers none of 10 s."""


class ServerAggregate(NamedTuple):
    """The trades of one taker order at one price. `id` counts the aggregates of the symbol."""

    id: int
    first_id: int
    last_id: int
    time_us: int
    price: str
    quantity: str
    buyer_is_maker: bool


class Market:
    """A symbol with the trades of `source`, in order. `advance` publishes the trades whose time has come."""

    def __init__(self, symbol: str, source: Iterable[ServerTrade], *, status: str = "TRADING") -> None:
        self.symbol = symbol
        self.status = status
        self.tick, self.step = "0.01000000", "0.00000100"
        self.trades: list[ServerTrade] = []
        self.aggregates: list[ServerAggregate] = []
        self._source = iter(source)
        self._next = next(self._source, None)
        self.next_us = 0
        """Time of the next trade, in Unix µs. Before that time, `advance` has nothing to do."""

    def advance(self, now_us: int) -> list[ServerTrade]:
        """Return the trades since the last call. Trades of the same time always happen together."""
        happened: list[ServerTrade] = []
        while self._next is not None and self._next.time_us <= now_us:
            happened.append(self._next)
            self._next = next(self._source, None)
        self.next_us = NEVER_US if self._next is None else self._next.time_us
        self.trades += happened
        for _, group in groupby(happened, key=attrgetter("time_us", "price", "buyer_is_maker")):
            self.aggregates.append(_aggregate(len(self.aggregates), list(group)))
        return happened

    def newest(self, limit: int) -> list[ServerTrade]:
        """Return the newest trades, oldest first."""
        return self.trades[-limit:]

    def since(self, time_us: int) -> list[ServerTrade]:
        """Return the trades from a time on, oldest first."""
        return self.trades[bisect_left(self.trades, time_us, key=attrgetter("time_us")) :]

    def from_id(self, first_id: int, limit: int) -> list[ServerTrade]:
        """Return trades with ids from `first_id` on, oldest first."""
        start = bisect_left(self.trades, first_id, key=attrgetter("id"))
        return self.trades[start : start + limit]

    def find_aggregates(
        self, from_id: int | None, start_us: int | None, end_us: int | None, limit: int
    ) -> list[ServerAggregate]:
        """Return aggregates from the aggregate `from_id` on, or between two times (both included).

        Without `from_id` and `start_us`, return the last ones.
        """
        if from_id is not None:
            return self.aggregates[from_id : from_id + limit]
        time = attrgetter("time_us")
        start = 0 if start_us is None else bisect_left(self.aggregates, start_us, key=time)
        stop = len(self.aggregates) if end_us is None else bisect_right(self.aggregates, end_us, key=time)
        found = self.aggregates[start:stop]
        return found[-limit:] if start_us is None else found[:limit]

    def klines(self, interval: str, start_us: int | None, end_us: int | None, limit: int) -> list[list[Any]]:
        """Return candles in Binance's form, with times in µs. A candle without trades is flat at the previous price."""
        if not self.trades:
            return []
        width_us = INTERVALS_S[interval] * 1_000_000
        windows = list(self._windows(width_us))
        found = [
            (window, trades, before)
            for window, trades, before in windows
            if (start_us is None or window * width_us >= start_us) and (end_us is None or window * width_us <= end_us)
        ]
        found = found[-limit:] if start_us is None else found[:limit]
        return [_kline(window * width_us, width_us, trades, before) for window, trades, before in found]

    def _windows(self, width_us: int) -> Iterator[tuple[int, list[ServerTrade], str]]:
        """Yield every window from the first to the newest, with its trades and the previous price."""
        before, expected = self.trades[0].price, self.trades[0].time_us // width_us
        for window, group in groupby(self.trades, key=lambda trade: trade.time_us // width_us):
            while expected < window:
                yield expected, [], before
                expected += 1
            trades = list(group)
            yield window, trades, before
            before, expected = trades[-1].price, window + 1


def _aggregate(number: int, trades: list[ServerTrade]) -> ServerAggregate:
    quantity = sum((Decimal(trade.quantity) for trade in trades), Decimal(0))
    first, last = trades[0], trades[-1]
    return ServerAggregate(
        number, first.id, last.id, first.time_us, first.price, f"{quantity:.8f}", first.buyer_is_maker
    )


def _kline(start_us: int, width_us: int, trades: list[ServerTrade], before: str) -> list[Any]:
    prices = [Decimal(trade.price) for trade in trades] or [Decimal(before)]
    bought = [trade for trade in trades if not trade.buyer_is_maker]
    return [
        start_us,
        *(f"{price:.8f}" for price in (prices[0], max(prices), min(prices), prices[-1])),
        _volume(trades),
        start_us + width_us - 1,
        _quote_volume(trades),
        len(trades),
        _volume(bought),
        _quote_volume(bought),
        "0",
    ]


def _volume(trades: list[ServerTrade]) -> str:
    return f"{sum((Decimal(trade.quantity) for trade in trades), Decimal(0)):.8f}"


def _quote_volume(trades: list[ServerTrade]) -> str:
    return f"{sum((Decimal(trade.price) * Decimal(trade.quantity) for trade in trades), Decimal(0)):.8f}"
