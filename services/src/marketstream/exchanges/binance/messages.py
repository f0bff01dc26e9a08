"""Decoding of the messages on a WebSocket of combined streams.

A trade arrives as `{"stream": "btcusdt@trade", "data": {…}}` (WebSocket Streams: Trade Streams), an answer as
`{"result": …, "id": …}` or with an error (WebSocket Streams: Live Subscribing/Unsubscribing to streams). Before a
server shuts down, it sends `serverShutdown` (WebSocket Streams: Server Shutdown).
"""

from typing import Any, Final, Literal, NamedTuple

import msgspec

from marketstream.market.trade import EARLIEST_US, FUTURE_US

EARLIEST_MICROSECONDS: Final = 10**14
"""Times below this value are in ms: it is the year 1973 in µs, and the year 5138 in ms."""

FAR_US: Final = 60 * 1_000_000
"""Maximum difference between the time of an event and the time of its trade, in µs.

Event times drive the clock of a whole connection, so an event that is further off is refused. Its trade becomes a hole,
which the history fills.
"""


class MessageError(ValueError):
    """The frame is none of these messages. `reason` is one word: malformed (not JSON), type or time."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class TradeEvent(msgspec.Struct, gc=False):
    """One trade of the stream. Times are as sent, in ms or µs; `decode` converts them to µs."""

    kind: Literal["trade"] = msgspec.field(name="e")
    event_us: int = msgspec.field(name="E")
    symbol: str = msgspec.field(name="s")
    id: int = msgspec.field(name="t")
    price: str = msgspec.field(name="p")
    quantity: str = msgspec.field(name="q")
    time_us: int = msgspec.field(name="T")
    buyer_is_maker: bool = msgspec.field(name="m")
    received_us: int = 0
    """The local time at which the frame arrived, in Unix µs; not a part of the frame."""


class Answer(NamedTuple):
    """The answer to a request. `problem` is None on success. An error may have no id."""

    id: int | None
    result: Any
    problem: str | None


class ServerShutdown(NamedTuple):
    """The server will end the connection within minutes."""


class _Combined(msgspec.Struct, gc=False):
    data: TradeEvent


class ErrorBody(msgspec.Struct):
    """An error as Binance reports it, over WebSocket and over REST."""

    code: int = 0
    msg: str = ""


class _Kind(msgspec.Struct):
    e: str = ""


class _Control(ErrorBody):
    """All forms of a frame without a trade. An error is in `error`, or in older answers in the frame itself."""

    id: int | None = None
    result: Any = msgspec.UNSET
    error: ErrorBody | None = None
    e: str = ""
    data: _Kind | None = None


_trades: Final = msgspec.json.Decoder(_Combined)
_controls: Final = msgspec.json.Decoder(_Control)

Message = TradeEvent | Answer | ServerShutdown


def decode(frame: bytes, received_us: int) -> Message:
    """Decode a frame that was received at the local time `received_us`. Raise MessageError if it is invalid."""
    try:
        event = _trades.decode(frame).data
    except msgspec.ValidationError as error:
        return _decode_control(frame, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MessageError("malformed", str(error)) from None
    event.received_us = received_us
    if event.event_us < EARLIEST_MICROSECONDS:
        event.event_us *= 1000
    if event.time_us < EARLIEST_MICROSECONDS:
        event.time_us *= 1000
    # The local clock only serves to reject absurd times: being wrong by an hour would change nothing.
    if not (
        -FAR_US <= event.event_us - event.time_us <= FAR_US and EARLIEST_US <= event.time_us <= received_us + FUTURE_US
    ):
        raise MessageError(
            "time", f"trade at {event.time_us} in an event at {event.event_us}, received at {received_us}"
        )
    return event


def _decode_control(frame: bytes, problem: str) -> Answer | ServerShutdown:
    try:
        control = _controls.decode(frame)
    except msgspec.ValidationError:
        raise MessageError("type", problem) from None
    if "serverShutdown" in (control.e, control.data.e if control.data else ""):
        return ServerShutdown()
    error = control.error or (control if control.msg else None)
    if error is not None:
        return Answer(control.id, None, f"{error.msg} (code {error.code})")
    if control.id is not None and control.result is not msgspec.UNSET:
        return Answer(control.id, control.result, None)
    raise MessageError("type", problem)
