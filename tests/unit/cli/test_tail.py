"""Records as readable JSON."""

import msgspec
import pytest
from marketstream import codec
from marketstream.cli.tail import readable
from marketstream.kafka.tail import Stored
from marketstream.market.trade import Trade, Trades

RECEIVED = 1_610_064_046_400_000


def stored(record: codec.Record) -> Stored:
    return Stored("trades.binance.btcusdt", 7, codec.encode(record))


def test_trades_have_decimal_text_and_iso_times() -> None:
    trades = Trades.of(
        [Trade(1, 1, RECEIVED - 45_000, 3949176, 26300, False), Trade(2, 3, RECEIVED, 3949100, 100000000, True)], 2, 8
    )
    assert readable(stored(codec.TradesRecord("binance", "BTCUSDT", RECEIVED, trades))) == {
        "topic": "trades.binance.btcusdt",
        "offset": 7,
        "kind": "trades",
        "exchange": "binance",
        "symbol": "BTCUSDT",
        "received": "2021-01-08T00:00:46.400000Z",
        "trades": [
            {
                "id": 1, "time": "2021-01-08T00:00:46.355000Z", "price": "39491.76", "quantity": "0.000263",
                "taker": "sell",
            },
            {
                "id": 2, "n": 3, "time": "2021-01-08T00:00:46.400000Z", "price": "39491", "quantity": "1",
                "taker": "buy",
            },
        ],
    }  # fmt: skip


def test_a_heartbeat_and_an_end_are_readable() -> None:
    heartbeat = readable(stored(codec.Heartbeat("binance", "BTCUSDT", RECEIVED, RECEIVED - 1, 2)))
    assert (heartbeat["kind"], heartbeat["max_acked_id"]) == ("heartbeat", 2)
    assert heartbeat["closes_before"] == "2021-01-08T00:00:46.399999Z"
    assert readable(stored(codec.End("binance", "BTCUSDT", RECEIVED)))["kind"] == "end"


@pytest.mark.parametrize("data", [b"", b"\xc1nonsense", msgspec.msgpack.encode(["9.trades", 1])])
def test_a_record_that_cannot_be_decoded_is_shown_as_an_error(data: bytes) -> None:
    shown = readable(Stored("trades.binance.btcusdt", 8, data))
    assert (shown["offset"], set(shown)) == (8, {"topic", "offset", "error"})


def test_a_time_beyond_the_calendar_is_shown_as_a_number() -> None:
    shown = readable(stored(codec.End("binance", "BTCUSDT", 2**62)))
    assert shown["received"] == f"{2**62} µs"
