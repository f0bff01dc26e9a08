"""What the endpoints answer, beside the candle of postgres/reader.py, made of what the stores hold: pure."""

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from marketstream.market.number import decimal_text
from marketstream.postgres.reader import CandleRow, Text
from marketstream.redis.hashes import LiveCandle, LiveStatus

QUIET_S: Final = 10
"""Seconds without a trade after which a symbol that is heard of is quiet."""

SIMULATOR: Final = "simulator"

VWAP_DIGITS: Final = 4
"""Digits of a volume-weighted price beyond those of its prices, as in postgres/reader.py."""

_WIDE: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)

State = Literal["live", "quiet", "stale", "backfilling", "simulated"]

Time = Annotated[float, Meta(description="Unix seconds, with fraction", examples=[1610064046.355])]


class Price(msgspec.Struct, frozen=True):
    """The price of the newest trade."""

    exchange: Annotated[str, Meta(examples=["binance"])]
    symbol: Annotated[str, Meta(examples=["BTCUSDT"])]
    price: Annotated[Text, Meta(examples=["39491.76"])]
    time: Annotated[Time, Meta(description="of the trade, on the exchange's clock")]
    trade_id: Annotated[int, Meta(description="the exchange's id of the trade", examples=[557459951])]


class Symbol(msgspec.Struct, frozen=True):
    """One symbol and how fresh all about it is; null where nothing is known yet."""

    exchange: Annotated[str, Meta(examples=["binance"])]
    symbol: Annotated[str, Meta(examples=["BTCUSDT"])]
    price: Annotated[Text | None, Meta(examples=["39491.76"])]
    last_trade_time: Time | None
    heard_until: Annotated[Time | None, Meta(description="exchange's time of the last evidence that the feed lives")]
    complete_until: Annotated[int | None, Meta(description="Unix seconds: every window before is proven complete")]
    open_holes: Annotated[int, Meta(description="holes among the trades that are still to be filled")]
    state: Annotated[
        State,
        Meta(
            description="stale: nothing heard for the MAX_AGE_S of its processor, usually 60 s; backfilling: holes "
            f"are being filled; simulated; quiet: no trade for {QUIET_S} s; else live. The first that holds"
        ),
    ]


def price_of(exchange: str, symbol: str, status: LiveStatus | None) -> Price | None:
    """The newest price, or None when no trade was heard yet."""
    if status is None or status.price is None or status.price_time is None or status.price_id is None:
        return None
    return Price(exchange, symbol, status.price, status.price_time, status.price_id)


def symbol_of(exchange: str, symbol: str, status: LiveStatus | None, now: float) -> Symbol:
    """The symbol at the Unix time `now`, in seconds."""
    status = status or LiveStatus()
    return Symbol(
        exchange, symbol, status.price, status.last_trade_time, status.heard_until, status.complete_until,
        status.open_holes, state_of(exchange, status, now),
    )  # fmt: skip


def state_of(exchange: str, status: LiveStatus, now: float) -> State:
    """The state of a symbol at the Unix time `now`, in seconds."""
    if status.heard_until is None or now - status.heard_until > status.max_age:
        return "stale"
    if status.backfilling:
        return "backfilling"
    if exchange == SIMULATOR:
        return "simulated"
    if status.last_trade_time is None or now - status.last_trade_time > QUIET_S:
        return "quiet"
    return "live"


def candle_of(live: LiveCandle) -> CandleRow:
    """The open candle in the form of the closed ones."""
    return CandleRow(**msgspec.structs.asdict(live), vwap=vwap(live))


def vwap(candle: LiveCandle) -> str | None:
    """Quote volume by volume, rounded as PostgreSQL rounds that of a closed candle; None without volume."""
    volume = Decimal(candle.volume)
    if not volume:
        return None
    prices = (candle.open, candle.high, candle.low, candle.close)
    scale = max(len(price.partition(".")[2]) for price in prices) + VWAP_DIGITS
    quotient = _WIDE.divide(Decimal(candle.quote_volume), volume)
    return decimal_text(quotient.quantize(Decimal(1).scaleb(-scale), context=_WIDE))
