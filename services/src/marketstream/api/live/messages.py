"""The messages of /ws, both ways, and the bytes in which they travel.

A stream is one symbol at one interval. Its messages are numbered by `seq` without gaps, the same for every client, so
each is encoded once for all of them; a client that sees a gap, or another `epoch`, subscribes again.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from marketstream.api.candles import IntervalName
from marketstream.api.freshness import State
from marketstream.postgres.reader import CandleRow
from marketstream.redis.frames import FrameTrade

KEPT: Final = 300
"""Closed candles of a stream that are kept in memory: most that a snapshot holds. GET /candles has the older ones."""

MOST_STREAMS: Final = 64
"""Most streams of one client, and of one of its messages."""

Name = Annotated[str, Meta(min_length=1, max_length=64)]


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stream as a client names it; without `exchange`, of the default exchange."""

    symbol: Name
    interval: IntervalName = "10s"
    exchange: Name | None = None
    limit: Annotated[int, Meta(ge=0, le=KEPT)] = KEPT
    """How many closed candles a snapshot should hold at most."""


class Subscribe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="subscribe"):
    """A snapshot of each of these streams, then what changes in them."""

    streams: Annotated[list[Wanted], Meta(min_length=1, max_length=MOST_STREAMS)]


class Unsubscribe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="unsubscribe"):
    """No more of these streams."""

    streams: Annotated[list[Wanted], Meta(min_length=1, max_length=MOST_STREAMS)]


class Ping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="ping"):
    """Is anyone there? A browser cannot send the protocol's own pings."""


Request = Subscribe | Unsubscribe | Ping


class Refused(msgspec.Struct, frozen=True, omit_defaults=True, tag="error"):
    """A request that was not carried out; the connection goes on."""

    code: str
    detail: str
    stream: Wanted | None = None


class Unsubscribed(msgspec.Struct, frozen=True, tag="unsubscribed"):
    """The last message of a stream."""

    exchange: str
    symbol: str
    interval: str


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    """The answer to a ping."""


class _Numbered(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    epoch: str
    seq: int
    received_us: int | None
    """When the newest trade in it was heard from the exchange, Unix µs."""
    exchange: str
    symbol: str
    interval: str


class LastPrice(msgspec.Struct, frozen=True):
    """The price of the newest trade; `time` in Unix seconds, with fraction."""

    price: str
    time: float
    trade_id: int


class Freshness(msgspec.Struct, frozen=True):
    """How fresh a symbol is: the states of GET /symbols, or that this service itself is cut off."""

    state: State | Literal["disconnected"]
    detail: str | None
    complete_until: int | None
    open_holes: int


class Snapshot(_Numbered, frozen=True, tag="snapshot"):
    """All of a stream. What was known of it before is void."""

    candles: list[CandleRow]
    open: CandleRow | None
    price: LastPrice | None
    trades: list[FrameTrade]
    freshness: Freshness


class CandleMessage(_Numbered, frozen=True, tag="candle"):
    """The open candle, or a closed one that is new or corrected."""

    closed: bool
    candle: CandleRow


class PriceMessage(_Numbered, frozen=True, tag="price"):
    """The newest price."""

    price: LastPrice


class TradesMessage(_Numbered, frozen=True, tag="trades"):
    """New trades, oldest first; only the newest where there were many."""

    trades: list[FrameTrade]


class StateMessage(_Numbered, frozen=True, tag="state"):
    """The symbol has become stale, live, …"""

    freshness: Freshness


class BadMessageError(ValueError):
    """What a client sent is not one of its messages."""


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Request).decode


def request(message: str | bytes) -> Request:
    """What a client asks for. Raises BadMessageError, saying what was expected."""
    try:
        return _decode(message)  # type: ignore[no-any-return]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessageError(
            f'{error}; expected {{"type": "subscribe" or "unsubscribe", "streams": [{{"symbol", "interval", '
            f'"exchange"}}]}} or {{"type": "ping"}}'
        ) from None


def frame(message: Any) -> bytes:
    """A message as JSON in one unmasked WebSocket text frame (RFC 6455, 5.2): the same bytes for every client."""
    payload = _encode(message)
    size = len(payload)
    if size < 126:  # the three forms of a length
        return bytes((0x81, size)) + payload
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2) + payload
    return b"\x81\x7f" + size.to_bytes(8) + payload
