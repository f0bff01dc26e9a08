"""What the endpoints answer, beside the candle of postgres/reader.py, made of what the stores hold: pure."""

from typing import Annotated

import msgspec
from msgspec import Meta

from marketstream.api.freshness import QUIET_S, State, state_of
from marketstream.postgres.reader import Text
from marketstream.redis.hashes import LiveStatus

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
