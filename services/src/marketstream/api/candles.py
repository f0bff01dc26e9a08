"""The candle that the API returns, closed or open, and the names of the intervals."""

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final, Literal

import msgspec

from marketstream.market.number import decimal_text
from marketstream.postgres.reader import CandleRow
from marketstream.redis.hashes import LiveCandle

IntervalName = Literal["10s", "1m", "5m", "15m", "1h", "4h", "1d"]
"""The names of the intervals in market/window.py, as the OpenAPI document needs them."""

VWAP_DIGITS: Final = 4
"""Digits of a volume-weighted price in addition to those of the prices, as in postgres/reader.py."""

_WIDE: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)


def candle_of(live: LiveCandle) -> CandleRow:
    """Return an open candle in the form of a closed one."""
    return CandleRow(**msgspec.structs.asdict(live), vwap=vwap(live))


def vwap(candle: LiveCandle) -> str | None:
    """Return quote volume / volume, rounded as PostgreSQL rounds it for a closed candle; None without volume."""
    volume = Decimal(candle.volume)
    if not volume:
        return None
    prices = (candle.open, candle.high, candle.low, candle.close)
    scale = max(len(price.partition(".")[2]) for price in prices) + VWAP_DIGITS
    quotient = _WIDE.divide(Decimal(candle.quote_volume), volume)
    return decimal_text(quotient.quantize(Decimal(1).scaleb(-scale), context=_WIDE))
