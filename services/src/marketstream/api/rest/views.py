"""The responses of the endpoints except candles, made from the live status of symbols. Pure."""

from typing import Annotated

import msgspec
from msgspec import Meta

from marketstream.api.freshness import QUIET_S, State, state_of
from marketstream.postgres.reader import Text
from marketstream.redis.hashes import LiveStatus

Time = Annotated[float, Meta(description="Unix seconds with a fraction", examples=[1610064046.355])]


class Price(msgspec.Struct, frozen=True):
    """The price of the newest trade."""

    exchange: Annotated[str, Meta(examples=["binance"])]
    symbol: Annotated[str, Meta(examples=["BTCUSDT"])]
    price: Annotated[Text, Meta(examples=["39491.76"])]
    time: Annotated[Time, Meta(description="time of the trade by the exchange's clock")]
    trade_id: Annotated[int, Meta(description="the exchange's id of the trade", examples=[557459951])]


class Symbol(msgspec.Struct, frozen=True):
    """One symbol and the freshness of its data; null for values that are not known yet."""

    exchange: Annotated[str, Meta(examples=["binance"])]
    symbol: Annotated[str, Meta(examples=["BTCUSDT"])]
    price: Annotated[Text | None, Meta(examples=["39491.76"])]
    last_trade_time: Time | None
    heard_until: Annotated[Time | None, Meta(description="exchange's time of the last evidence that the feed works")]
    complete_from: Annotated[
        int | None, Meta(description="Unix seconds: every window from here to complete_until is proven complete")
    ]
    complete_until: Annotated[int | None, Meta(description="Unix seconds: end of the newest window proven complete")]
    open_holes: Annotated[int, Meta(description="number of holes that may still be filled")]
    state: Annotated[
        State,
        Meta(
            description="The first one that applies: unlisted (the exchange does not list it), stale (nothing received "
            "for the MAX_AGE_S of its processor, usually 60 s), unreachable (its feed has no connection to the "
            "exchange), backfilling (missing trades are being fetched), "
            f"simulated, quiet (no trade for {QUIET_S} s), live"
        ),
    ]


def price_of(exchange: str, symbol: str, status: LiveStatus | None) -> Price | None:
    """Return the newest price, or None if no trade has been received yet."""
    if status is None or status.price is None or status.price_time is None or status.price_id is None:
        return None
    return Price(exchange, symbol, status.price, status.price_time, status.price_id)


def symbol_of(exchange: str, symbol: str, status: LiveStatus | None, now: float) -> Symbol:
    """Return the symbol as of the Unix time `now`, in seconds."""
    status = status or LiveStatus()
    return Symbol(
        exchange, symbol, status.price, status.last_trade_time, status.heard_until, status.complete_from,
        status.complete_until,        status.open_holes, state_of(exchange, status, now),
    )  # fmt: skip
