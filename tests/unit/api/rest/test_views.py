"""Answers made of what the stores hold."""

from typing import Any, get_args

import msgspec
import pytest
from marketstream.api.rest.queries import IntervalName
from marketstream.api.rest.views import Price, State, candle_of, price_of, state_of, symbol_of, vwap
from marketstream.cli import parser
from marketstream.market.window import INTERVALS
from marketstream.redis.hashes import LiveCandle, LiveStatus

NOW = 1_610_064_100.0

LIVE = LiveCandle(
    exchange="binance", symbol="BTCUSDT", interval="10s", window_start=1610064040,
    open="39474.51", high="39503.52", low="39449.68", close="39491.76",
    volume="9.610447", quote_volume="379400.5", taker_buy_volume="3.1",
    trade_count=249, first_trade_id=1, last_trade_id=249, complete=False, incomplete_reason="unconfirmed", revision=0,
)  # fmt: skip


def stream(**changes: Any) -> LiveStatus:
    """A symbol of which a trade was heard a second ago."""
    fields: dict[str, Any] = {"price": "1.5", "price_id": 7, "price_time": NOW - 1, "last_trade_time": NOW - 1}
    return LiveStatus(**{**fields, "heard_until": NOW - 1, **changes})


@pytest.mark.parametrize(
    ("exchange", "changes", "state"),
    [
        ("binance", {}, "live"),
        ("binance", {"last_trade_time": NOW - 10}, "live"),
        ("binance", {"last_trade_time": NOW - 10.1}, "quiet"),
        ("binance", {"last_trade_time": None}, "quiet"),
        ("binance", {"heard_until": NOW - 60}, "live"),
        ("binance", {"heard_until": NOW - 60.1}, "stale"),
        ("binance", {"heard_until": NOW - 90, "last_trade_time": NOW - 90, "max_age": 90}, "quiet"),
        ("binance", {"heard_until": NOW - 90.1, "max_age": 90}, "stale"),
        ("binance", {"heard_until": None}, "stale"),
        ("binance", {"backfilling": True}, "backfilling"),
        ("binance", {"backfilling": True, "last_trade_time": NOW - 30}, "backfilling"),
        ("binance", {"backfilling": True, "heard_until": NOW - 61}, "stale"),
        ("simulator", {}, "simulated"),
        ("simulator", {"last_trade_time": NOW - 30}, "simulated"),
        ("simulator", {"backfilling": True}, "backfilling"),
        ("simulator", {"heard_until": NOW - 61}, "stale"),
    ],
)
def test_the_first_state_that_holds(exchange: str, changes: dict[str, Any], state: State) -> None:
    assert state_of(exchange, stream(**changes), NOW) == state


def test_a_symbol_of_which_nothing_was_heard_is_stale() -> None:
    symbol = symbol_of("binance", "BTCUSDT", None, NOW)
    assert (symbol.state, symbol.price, symbol.heard_until, symbol.open_holes) == ("stale", None, None, 0)


def test_a_price_is_known_after_the_first_trade() -> None:
    assert price_of("binance", "BTCUSDT", stream()) == Price("binance", "BTCUSDT", "1.5", NOW - 1, 7)
    assert price_of("binance", "BTCUSDT", stream(price=None)) is None
    assert price_of("binance", "BTCUSDT", None) is None


@pytest.mark.parametrize("text", ["1610064046.355", "1610064046.355123", "1610064046.000001", "4294967295.999999"])
def test_a_time_is_rendered_to_its_last_digit(text: str) -> None:
    price = Price("binance", "BTCUSDT", "1.5", float(text), 7)
    assert f'"time":{text},'.encode() in msgspec.json.encode(price)


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


def test_the_intervals_that_can_be_asked_for_are_those_there_are() -> None:
    assert get_args(IntervalName) == tuple(INTERVALS) == parser.INTERVALS
