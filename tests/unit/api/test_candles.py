"""The open candle in the form of the closed ones."""

from typing import get_args

import msgspec
import pytest
from marketstream.api.candles import IntervalName, candle_of, vwap
from marketstream.cli import parser
from marketstream.market.window import INTERVALS
from marketstream.redis.hashes import LiveCandle

LIVE = LiveCandle(
    exchange="binance", symbol="BTCUSDT", interval="10s", window_start=1610064040,
    open="39474.51", high="39503.52", low="39449.68", close="39491.76",
    volume="9.610447", quote_volume="379400.5", taker_buy_volume="3.1",
    trade_count=249, first_trade_id=1, last_trade_id=249, complete=False, incomplete_reason="unconfirmed", revision=0,
)  # fmt: skip


def test_an_open_candle_has_the_form_of_a_closed_one() -> None:
    candle = candle_of(LIVE)
    assert (candle.open, candle.close, candle.trade_count, candle.complete) == ("39474.51", "39491.76", 249, False)
    assert candle.vwap == "39477.924388"


@pytest.mark.parametrize(
    ("price", "volume", "quote_volume", "expected"),
    [
        ("100", "0", "0", None),
        ("100", "3", "100", "33.3333"),
        ("100", "2", "200", "100"),
        ("0.00000825", "3", "0.00002476", "0.000008253333"),
        ("1", "123456789012.12345678", "123456789012.12345678", "1"),
    ],
)
def test_vwap_has_four_digits_more_than_the_prices(
    price: str, volume: str, quote_volume: str, expected: str | None
) -> None:
    prices = dict.fromkeys(("open", "high", "low", "close"), price)
    candle = msgspec.structs.replace(LIVE, **prices, volume=volume, quote_volume=quote_volume)
    assert vwap(candle) == expected


def test_the_interval_names_are_those_of_the_domain() -> None:
    assert get_args(IntervalName) == tuple(INTERVALS) == parser.INTERVALS
