"""Responses made from the live status."""

import msgspec
import pytest
from marketstream.api.rest.views import Price, price_of, symbol_of

from tests.unit.api.statuses import NOW, status_of


def test_a_symbol_without_data_is_stale() -> None:
    symbol = symbol_of("binance", "BTCUSDT", None, NOW)
    assert (symbol.state, symbol.price, symbol.heard_until, symbol.open_holes) == ("stale", None, None, 0)


def test_a_price_is_known_after_the_first_trade() -> None:
    assert price_of("binance", "BTCUSDT", status_of()) == Price("binance", "BTCUSDT", "1.5", NOW - 1, 7)
    assert price_of("binance", "BTCUSDT", status_of(price=None)) is None
    assert price_of("binance", "BTCUSDT", None) is None


@pytest.mark.parametrize("text", ["1610064046.355", "1610064046.355123", "1610064046.000001", "4294967295.999999"])
def test_a_time_is_rendered_to_its_last_digit(text: str) -> None:
    price = Price("binance", "BTCUSDT", "1.5", float(text), 7)
    assert f'"time":{text},'.encode() in msgspec.json.encode(price)
