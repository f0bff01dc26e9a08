"""The records of a topic: MsgPack arrays that begin with their version and kind.

There are five kinds: trades that arrived within a few milliseconds, the same with ids that prove nothing, a heartbeat
about every second, the proof that a market was quiet, and the end of a symbol. Decoding any other version, kind or
shape raises CodecError, and the reader then rejects the record.
"""

from typing import Final

import msgspec

from marketstream.market.trade import Trades


class CodecError(ValueError):
    """A record is not MsgPack of a known version, kind and shape."""


class TradesRecord(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="1.trades"):
    """Trades of one symbol. `received_us` is the Unix time in µs at which the last of them was received."""

    exchange: str
    symbol: str
    received_us: int
    trades: Trades


class UnorderedRecord(TradesRecord, array_like=True, frozen=True, gc=False, tag="1.unordered"):
    """Trades of an exchange that skips ids: an id still identifies its trade, but missing ids prove nothing."""


class Heartbeat(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="1.heartbeat"):
    """A promise that the feed will deliver no more trades from before `closes_before_us` (Unix µs, exchange clock).

    It is sent only after Kafka has acknowledged all earlier records; `max_acked_id` is the greatest id among them, or
    -1 if there are none. It lets windows close when a market is quiet, but proves no window complete. Before the first
    reading of the exchange's clock, `closes_before_us` is 0 and closes nothing. `is_connected` says whether the feed
    has a connection to the exchange that carries the symbol. A record without this field counts as connected.
    """

    exchange: str
    symbol: str
    received_us: int
    closes_before_us: int
    max_acked_id: int
    is_connected: bool = True


class Quiet(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="1.quiet"):
    """The proof that a market was quiet.

    The exchange's history knew of no trade after `newest_id` up to `until_us` (Unix µs, the exchange's clock).
    """

    exchange: str
    symbol: str
    received_us: int
    newest_id: int
    until_us: int


class End(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="1.end"):
    """The end of a symbol that was removed. Its producer sends nothing more."""

    exchange: str
    symbol: str
    received_us: int


Record = TradesRecord | UnorderedRecord | Heartbeat | Quiet | End

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Record)

encode = _encoder.encode


def decode(data: bytes) -> Record:
    """Return the record in `data`. Raise CodecError if it is not a record of a known version, kind and shape."""
    try:
        return _decoder.decode(data)  # type: ignore[no-any-return]
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise CodecError(f"a record of {len(data)} bytes that begins with {data[:16].hex()}: {error}") from None
