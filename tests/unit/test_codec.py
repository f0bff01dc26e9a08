import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketstream.codec import CodecError, End, Heartbeat, Quiet, Record, TradesRecord, decode, encode
from marketstream.market.trade import Trades

from tests.unit.strategies import TIMES, TRADES

RECORDS = st.one_of(
    st.builds(TradesRecord, st.text(), st.text(), TIMES, TRADES),
    st.builds(Heartbeat, st.text(), st.text(), TIMES, TIMES, st.integers(-1, 2**63 - 1), st.booleans()),
    st.builds(Quiet, st.text(), st.text(), TIMES, st.integers(0, 2**62), TIMES),
    st.builds(End, st.text(), st.text(), TIMES),
)
TRADES_RECORD = TradesRecord("binance", "BTCUSDT", 3, Trades(2, 5, 7, [1, 2], [3, 4], [5, 6], b"\0\1"))


@given(RECORDS)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert decode(encode(record)) == record


@given(st.binary())
def test_junk_is_a_codec_error_or_a_record(junk: bytes) -> None:
    try:
        record = decode(junk)
    except CodecError:
        return
    assert decode(encode(record)) == record


@given(RECORDS, st.data())
def test_a_record_that_was_cut_short_is_a_codec_error(record: Record, data: st.DataObject) -> None:
    whole = encode(record)
    with pytest.raises(CodecError):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


@pytest.mark.parametrize(
    "junk",
    [
        msgspec.msgpack.encode(["2.trades", "binance", "BTCUSDT", 3, []]),
        msgspec.msgpack.encode(["1.unheard", "binance", "BTCUSDT", 3]),
        msgspec.msgpack.encode(["1.heartbeat", "binance", "BTCUSDT", 3, "soon", -1]),
        msgspec.msgpack.encode(["1.end", b"\xff", "BTCUSDT", 3]),
        msgspec.msgpack.encode({"kind": "1.end"}),
        msgspec.msgpack.encode(["1.trades", "binance", "BTCUSDT", 3, [2, 5, 7, [1.5], [3], [5], b"\0"]]),
    ],
    ids=["version", "kind", "type", "text", "shape", "fraction"],
)
def test_another_version_kind_or_shape_is_a_codec_error(junk: bytes) -> None:
    with pytest.raises(CodecError, match=f"a record of {len(junk)} bytes"):
        decode(junk)


def test_fields_added_later_are_optional_for_old_readers_and_new_ones() -> None:
    heartbeat = Heartbeat("binance", "BTCUSDT", 3, 2, 1, is_connected=False)
    *old, added = msgspec.msgpack.decode(encode(heartbeat))
    assert old == ["1.heartbeat", "binance", "BTCUSDT", 3, 2, 1]
    assert added is False
    assert decode(msgspec.msgpack.encode(old)) == Heartbeat("binance", "BTCUSDT", 3, 2, 1, is_connected=True)
    assert decode(msgspec.msgpack.encode([*old, added, "a field of a later version"])) == heartbeat


def test_a_record_begins_with_its_version_and_kind() -> None:
    assert msgspec.msgpack.decode(encode(TRADES_RECORD))[0] == "1.trades"
