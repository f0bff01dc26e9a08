"""A candle under construction: exact sums and extremes of the trades of one window."""

import sys
from itertools import compress
from operator import mul
from typing import Final

from marketstream.market.number import rescale
from marketstream.market.trade import Trade, Trades

if sys.version_info >= (3, 12):
    from math import sumprod  # exact for integers of any size, and three times as fast
else:

    def sumprod(p: list[int], q: list[int], /) -> int:
        return sum(map(mul, p, q))


HOLE: Final = "hole"
"""Trades are missing that the exchange may still have."""
UNFILLABLE: Final = "unfillable"
"""Trades are missing permanently: the exchange does not have them, or their hole was given up."""
UNCONFIRMED: Final = "unconfirmed"
"""No missing trade is known, but the trade before or after the window has not been seen."""
UNORDERED_IDS: Final = "unordered_ids"
"""The exchange's ids have no order, so they prove nothing."""


class Candle:
    """The candle of one window, or a correction of it: the sums and extremes of late trades only.

    Prices are integers at `price_scale`, volumes at `quantity_scale`, and `quote_volume` at the sum of both scales.
    `open` is the price of the trade with the least (time, id), `close` that of the one with the greatest. Times are
    in Unix µs.
    """

    __slots__ = (
        "close", "close_id", "close_time", "first_id", "high", "last_id", "low", "open", "open_id", "open_time",
        "price_scale", "quantity_scale", "quote_volume", "taker_buy_volume", "trade_count", "volume", "window",
    )  # fmt: skip

    def __init__(self, window: int, price_scale: int, quantity_scale: int, first: Trade) -> None:
        self.window = window
        self.price_scale = price_scale
        self.quantity_scale = quantity_scale
        self.open = self.high = self.low = self.close = first.price
        self.open_time = self.close_time = first.time
        self.open_id = self.first_id = first.id
        self.close_id = self.last_id = first.id + first.n - 1
        self.volume = first.quantity
        self.quote_volume = first.price * first.quantity
        self.taker_buy_volume = first.quantity if first.taker_buy else 0
        self.trade_count = first.n

    def add(self, trade: Trade) -> None:
        """Add one entry with any id and any time within the window; its amounts are at the candle's scales."""
        trade_id, n, time, price, quantity, taker_buy = trade
        last_id = trade_id + n - 1
        if (time, trade_id) < (self.open_time, self.open_id):
            self.open, self.open_time, self.open_id = price, time, trade_id
        if (time, last_id) > (self.close_time, self.close_id):
            self.close, self.close_time, self.close_id = price, time, last_id
        if price > self.high:
            self.high = price
        if price < self.low:
            self.low = price
        if trade_id < self.first_id:
            self.first_id = trade_id
        if last_id > self.last_id:
            self.last_id = last_id
        self.volume += quantity
        self.quote_volume += price * quantity
        if taker_buy:
            self.taker_buy_volume += quantity
        self.trade_count += n

    def count(self, trade: Trade, price_scale: int, quantity_scale: int) -> None:
        """Add one entry at any scales, and widen the candle's scales if necessary."""
        self.rescale(max(price_scale, self.price_scale), max(quantity_scale, self.quantity_scale))
        self.add(
            trade._replace(
                price=rescale(trade.price, price_scale, self.price_scale),
                quantity=rescale(trade.quantity, quantity_scale, self.quantity_scale),
            )
        )

    def can_extend(self, trades: Trades) -> bool:
        """Return True if these plain, ordered columns follow the candle's last trade and are at its scales."""
        return (
            self.last_id < trades.first_id
            and self.close_time <= trades.times[0]
            and self.price_scale == trades.price_scale
            and self.quantity_scale == trades.quantity_scale
        )

    def extend(self, trades: Trades, high: int, low: int, last_id: int) -> None:
        """Add columns that follow the candle's last trade in id and time.

        `high` and `low` are the extremes of their prices, `last_id` is the id of their last trade.
        """
        prices, quantities = trades.prices, trades.quantities
        self.close = prices[-1]
        self.close_time = trades.times[-1]
        self.close_id = self.last_id = last_id
        if high > self.high:
            self.high = high
        if low < self.low:
            self.low = low
        self.volume += sum(quantities)
        self.quote_volume += sumprod(prices, quantities)
        self.taker_buy_volume += sum(compress(quantities, trades.taker_buys))
        self.trade_count += len(prices)

    def rescale(self, price_scale: int, quantity_scale: int) -> None:
        """Convert the candle to scales that are not below its own."""
        if (price_scale, quantity_scale) == (self.price_scale, self.quantity_scale):
            return
        price_factor = 10 ** (price_scale - self.price_scale)
        quantity_factor = 10 ** (quantity_scale - self.quantity_scale)
        self.price_scale, self.quantity_scale = price_scale, quantity_scale
        self.open *= price_factor
        self.high *= price_factor
        self.low *= price_factor
        self.close *= price_factor
        self.volume *= quantity_factor
        self.taker_buy_volume *= quantity_factor
        self.quote_volume *= price_factor * quantity_factor
