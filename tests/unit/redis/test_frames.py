"""Frames between the processors and the API."""

import msgspec
import pytest
from marketstream.redis.client import connect
from marketstream.redis.errors import LiveStoreContentError
from marketstream.redis.frames import Frame, FramePrice, FrameTrade, channel_of, decode, encode
from marketstream.settings import Settings
from redis.asyncio import Redis

CANDLE = {
    "exchange": "binance", "symbol": "BTCUSDT", "interval": "10s", "window_start": "1610064040",
    "open": "1", "high": "2", "low": "0.5", "close": "1.5", "volume": "3", "quote_volume": "4",
    "taker_buy_volume": "0", "trade_count": "2", "first_trade_id": "7", "last_trade_id": "8", "complete": "false",
    "incomplete_reason": "unconfirmed", "revision": "0", "fence": "3",
}  # fmt: skip


def test_an_encoded_frame_decodes_to_itself() -> None:
    frame = Frame(
        exchange="binance", symbol="BTCUSDT", received_us=1_610_064_046_355_000,
        price=FramePrice("1.5", "1610064046.355", 8), candle=CANDLE, changed=[1610064030],
        trades=[FrameTrade(8, 1_610_064_046_355_000, "1.5", "0.1", taker_buy=True)],
        status={"heard_until": "1610064046.9", "complete_until": "", "open_holes": "1"},
    )  # fmt: skip
    again = decode(encode(frame))
    assert again == frame
    candle = again.open_candle()
    assert candle is not None
    assert (candle.window_start, candle.complete, candle.trade_count) == (1610064040, False, 2)
    status = again.live_status()
    assert (status.heard_until, status.complete_until, status.open_holes) == (1610064046.9, None, 1)


def test_a_frame_is_a_map_with_trades_as_arrays() -> None:
    frame = Frame(exchange="e", symbol="S", trades=[FrameTrade(1, 2, "3", "4", taker_buy=False)])
    raw = msgspec.msgpack.decode(encode(frame))
    assert raw == {"exchange": "e", "symbol": "S", "trades": [[1, 2, "3", "4", False]]}


def test_omitted_fields_are_empty() -> None:
    frame = decode(msgspec.msgpack.encode({"exchange": "e", "symbol": "S"}))
    assert (frame.price, frame.open_candle(), frame.changed, frame.trades) == (None, None, [], [])


@pytest.mark.parametrize(
    "data",
    [
        b"", b"nonsense", msgspec.msgpack.encode({"exchange": "e"}), b"\xc1",
        b"\x81\xa1x" + b"\x91" * 100_000,
        msgspec.msgpack.encode({"exchange": "e", "symbol": "S", "price": {"price": "1", "time": "soon", "id": 1}}),
        msgspec.msgpack.encode({"exchange": "e", "symbol": "S", "price": {"price": "NaN", "time": "1", "id": 1}}),
    ],
)  # fmt: skip
def test_invalid_data_is_refused(data: bytes) -> None:
    with pytest.raises(LiveStoreContentError, match="cannot be decoded"):
        decode(data)


def test_invalid_fields_are_refused() -> None:
    with pytest.raises(LiveStoreContentError, match="holds data that no processor writes"):
        Frame(exchange="e", symbol="S", candle=CANDLE | {"window_start": "soon"}).open_candle()
    for volume in ("much", "NaN", "-1", "1e9", "9" * 100):
        with pytest.raises(LiveStoreContentError, match="holds data that no processor writes"):
            Frame(exchange="e", symbol="S", candle=CANDLE | {"volume": volume}).open_candle()
    with pytest.raises(LiveStoreContentError, match="holds data that no processor writes"):
        Frame(exchange="e", symbol="S", status={"open_holes": "many"}).live_status()


@pytest.mark.parametrize(
    ("url", "database"),
    [("redis://h", 0), ("redis://h/", 0), ("redis://h/0", 0), ("rediss://u:p@h:1/12", 12), ("redis://h?db=4", 4)],
)
def test_the_channel_has_the_number_of_the_database(url: str, database: int) -> None:
    for redis in (connect(Settings(redis_url=url)), Redis.from_url(url)):
        assert channel_of(redis) == f"marketstream:frames:{database}"
