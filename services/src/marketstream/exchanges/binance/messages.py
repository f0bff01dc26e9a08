"""What a WebSocket of combined streams brings, decoded.

Trades come as `{"stream": "btcusdt@trade", "data": {…}}` (WebSocket Streams: Trade Streams), answers as
`{"result": …, "id": …}` or with an error (WebSocket Streams: Live Subscribing/Unsubscribing to streams), and before a
server goes, `serverShutdown` (WebSocket Streams: Server Shutdown).
"""

from typing import Any, Final, Literal, NamedTuple

import msgspec

from marketstream.market.trade import EARLIEST_US, FUTURE_US

EARLIEST_MICROSECONDS: Final = 10**14
"""Times below it are in ms: 1973 in µs, the year 5138 in ms."""

FAR_US: Final = 60 * 1_000_000
"""How far the time of an event may lie from that of its trade. The clock of a whole connection follows the events', so
one that is further off is not believed; its trade is a hole then, which the history fills."""


class MessageError(ValueError):
    """A frame that is nothing of the above. `reason` is one word: malformed (no JSON), type or time."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class TradeEvent(msgspec.Struct, gc=False):
    """One trade of the stream. Times are as sent, in ms or µs, until `decode` has made them µs."""

    kind: Literal["trade"] = msgspec.field(name="e")
    event_us: int = msgspec.field(name="E")
    symbol: str = msgspec.field(name="s")
    id: int = msgspec.field(name="t")
    price: str = msgspec.field(name="p")
    quantity: str = msgspec.field(name="q")
    time_us: int = msgspec.field(name="T")
    buyer_is_maker: bool = msgspec.field(name="m")
    received_us: int = 0
    """The local time, Unix µs, at which the frame was heard: no part of the frame."""


class Answer(NamedTuple):
    """The answer to a message of ours; `problem` is None for success. An error may come without an id."""

    id: int | None
    result: Any
    problem: str | None


class ServerShutdown(NamedTuple):
    """The server will end the connection soon, within minutes."""


class _Combined(msgspec.Struct, gc=False):
    data: TradeEvent


class ErrorBody(msgspec.Struct):
    """An error as Binance reports it, over WebSocket and over REST."""

    code: int = 0
    msg: str = ""


class _Kind(msgspec.Struct):
    e: str = ""


class _Control(ErrorBody):
    """All forms of a frame that carries no trade. An error stands in `error`, in older answers in the frame itself."""

    id: int | None = None
    result: Any = msgspec.UNSET
    error: ErrorBody | None = None
    e: str = ""
    data: _Kind | None = None


_trades: Final = msgspec.json.Decoder(_Combined)
_controls: Final = msgspec.json.Decoder(_Control)

Message = TradeEvent | Answer | ServerShutdown


def decode(frame: bytes, received_us: int) -> Message:
    """What the frame says, received at the local time `received_us`. Raises MessageError."""
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
    # The local clock only tells a time from nonsense: it may be wrong by an hour and nothing changes.
    if not (
        -FAR_US <= event.event_us - event.time_us <= FAR_US and EARLIEST_US <= event.time_us <= received_us + FUTURE_US
    ):
        raise MessageError(
            "time", f"a trade at {event.time_us} in an event at {event.event_us}, received {received_us}"
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
