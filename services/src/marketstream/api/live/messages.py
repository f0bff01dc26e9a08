"""The messages of /ws in both directions, and their encoding.

To a client, a stream is one symbol at one interval. Its messages have consecutive numbers (`seq`), which are the same
for every client, so each message is encoded only once. A client that misses a number, or sees another `epoch`,
subscribes again.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from marketstream.api.candles import IntervalName
from marketstream.api.freshness import State
from marketstream.postgres.reader import CandleRow
from marketstream.redis.frames import FrameTrade

KEPT: Final = 300
"""Closed candles kept in memory for each stream: a snapshot has no more. GET /candles has the older ones."""

MOST_STREAMS: Final = 64
"""Maximum number of streams of one client, and in one message of a client."""

Name = Annotated[str, Meta(min_length=1, max_length=64)]


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stream as a client names it. Without `exchange`, it belongs to the default exchange."""

    symbol: Name
    interval: IntervalName = "10s"
    exchange: Name | None = None
    limit: Annotated[int, Meta(ge=0, le=KEPT)] = KEPT
    """Maximum number of closed candles in a snapshot."""


class Subscribe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="subscribe"):
    """Request for a snapshot of each of these streams and then their changes."""

    streams: Annotated[list[Wanted], Meta(min_length=1, max_length=MOST_STREAMS)]


class Unsubscribe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="unsubscribe"):
    """Request to end these streams."""

    streams: Annotated[list[Wanted], Meta(min_length=1, max_length=MOST_STREAMS)]


class Ping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="ping"):
    """Request for a Pong. A browser cannot send the pings of the WebSocket protocol."""


Request = Subscribe | Unsubscribe | Ping


class Refused(msgspec.Struct, frozen=True, omit_defaults=True, tag="error"):
    """Answer to a request that was not carried out. The connection stays open."""

    code: str
    detail: str
    stream: Wanted | None = None


class Unsubscribed(msgspec.Struct, frozen=True, tag="unsubscribed"):
    """Last message of a stream."""

    exchange: str
    symbol: str
    interval: str


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    """Answer to a Ping."""


class _Numbered(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    epoch: str
    seq: int
    received_us: int | None
    """Time at which the newest trade so far was received from the exchange, Unix µs."""
    exchange: str
    symbol: str
    interval: str


class LastPrice(msgspec.Struct, frozen=True):
    """The price of the newest trade. `time` is in Unix seconds with a fraction."""

    price: str
    time: float
    trade_id: int


class Freshness(msgspec.Struct, frozen=True):
    """The freshness of a symbol: a state of GET /symbols, or `disconnected` if this service gets no live data."""

    state: State | Literal["disconnected"]
    detail: str | None
    complete_from: int | None
    complete_until: int | None
    open_holes: int


class Snapshot(_Numbered, frozen=True, tag="snapshot"):
    """The whole content of a stream, which replaces everything that was sent before."""

    candles: list[CandleRow]
    open: CandleRow | None
    price: LastPrice | None
    trades: list[FrameTrade]
    freshness: Freshness


class CandleMessage(_Numbered, frozen=True, tag="candle"):
    """The changed open candle, or a closed candle that is new or corrected."""

    closed: bool
    candle: CandleRow


class PriceMessage(_Numbered, frozen=True, tag="price"):
    """A new price."""

    price: LastPrice


class TradesMessage(_Numbered, frozen=True, tag="trades"):
    """New trades, oldest first; only the newest if there were many."""

    trades: list[FrameTrade]


class StateMessage(_Numbered, frozen=True, tag="state"):
    """A change of the freshness, such as from live to stale."""

    freshness: Freshness


class BadMessageError(ValueError):
    """A client sent something that is not a valid request."""


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Request).decode


def request(message: str | bytes) -> Request:
    """Decode the request of a client. Raises BadMessageError, which says what was expected."""
    try:
        return _decode(message)  # type: ignore[no-any-return]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessageError(
            f'{error}; expected {{"type": "subscribe" or "unsubscribe", "streams": [{{"symbol", "interval", '
            f'"exchange"}}]}} or {{"type": "ping"}}'
        ) from None


def frame(message: Any) -> bytes:
    """Encode a message as JSON in one unmasked WebSocket text frame (RFC 6455, 5.2), the same for every client."""
    payload = _encode(message)
    size = len(payload)
    if size < 126:  # the three encodings of a length
        return bytes((0x81, size)) + payload
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2) + payload
    return b"\x81\x7f" + size.to_bytes(8) + payload
