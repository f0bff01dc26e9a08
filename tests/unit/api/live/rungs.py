"""Open and closed candles of the tests."""

from typing import Any, Final

from marketstream.api.candles import candle_of
from marketstream.postgres.reader import CandleRow
from marketstream.redis.hashes import LiveCandle

START: Final = 1_610_064_000
"""Start of a window of every interval up to 5 minutes, Unix seconds."""


def live(start: int, price: str = "1", trades: int = 1, **changes: Any) -> LiveCandle:
    """Return an open candle of ten seconds with trades at one price, with `changes`."""
    fields: dict[str, Any] = {
        "exchange": "binance", "symbol": "BTCUSDT", "interval": "10s", "window_start": start,
        "open": price, "high": price, "low": price, "close": price,
        "volume": str(trades), "quote_volume": str(trades), "taker_buy_volume": "0",
        "trade_count": trades, "first_trade_id": start, "last_trade_id": start + trades - 1,
        "complete": False, "incomplete_reason": "unconfirmed", "revision": 0,
    }  # fmt: skip
    return LiveCandle(**fields | changes)


def closed(start: int, price: str = "1", **changes: Any) -> CandleRow:
    """Return a closed, complete candle, with `changes`."""
    return candle_of(live(start, price, **{"complete": True, "incomplete_reason": None} | changes))
