"""The hashes of a symbol in Redis as types: a live candle and the live status."""

from collections.abc import Mapping
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from marketstream.redis.errors import LiveStoreContentError

T = TypeVar("T")

Number = Annotated[str, Meta(pattern=r"^[0-9]{1,40}(\.[0-9]{1,40})?$")]
"""Plain decimal text, as a processor writes it. Candles cannot be computed from anything else."""


class LiveCandle(msgspec.Struct, frozen=True, gc=False):
    """The open or the last closed candle in Redis. Prices and volumes are decimal text, times are Unix seconds."""

    exchange: str
    symbol: str
    interval: str
    window_start: int
    open: Number
    high: Number
    low: Number
    close: Number
    volume: Number
    quote_volume: Number
    taker_buy_volume: Number
    trade_count: int
    first_trade_id: int
    last_trade_id: int
    complete: bool
    incomplete_reason: str | None
    revision: int


class LiveStatus(msgspec.Struct, frozen=True, gc=False):
    """The newest price of a symbol and the freshness of its data. Times are Unix seconds with a fraction."""

    price: str | None = None
    price_id: int | None = None
    price_time: float | None = None
    last_trade_time: float | None = None
    last_trade_id: int | None = None
    complete_from: int | None = None
    complete_until: int | None = None
    heard_until: float | None = None
    lag: int | None = None
    open_holes: int = 0
    backfilling: bool = False
    unlisted: bool = False
    """True if the exchange answered that it does not list the symbol (any more)."""
    connected: bool = True
    """False if the feed has no connection to the exchange, or the producer sends no heartbeats."""
    max_age: int = 60
    """Seconds after which a symbol without new data is stale: MAX_AGE_S of its processor."""


def parse_hash(fields: Mapping[str, str], form: type[T], origin: str) -> T:
    """Return the fields of a hash as `form`. Redis holds text only: empty text becomes None, digits become numbers.

    Raises LiveStoreContentError, which names the `origin` of the fields, when they do not fit.
    """
    try:
        return msgspec.convert({name: text or None for name, text in fields.items()}, form, strict=False)
    except msgspec.ValidationError as error:
        raise LiveStoreContentError(f"{origin} holds data that no processor writes: {error}") from error
