"""Typed rows."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Self

import asyncpg


class StoredCandle(NamedTuple):
    """A row of candles_10s. `window_start` is in Unix seconds, `close_time` (that of its last trade) in Unix µs.

    In a window without trades `close_time` and `close_id` are those of the last trade before it.
    """

    exchange: str
    symbol: str
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
    incomplete_reason: str | None
    revision: int
    close_time: int
    close_id: int

    @classmethod
    def of(cls, row: asyncpg.Record | Mapping[str, Any]) -> Self:
        """Return the candle that a row holds, which may have more columns."""
        return cls(**{name: row[name] for name in cls._fields})
