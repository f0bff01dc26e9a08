"""The spelling of symbols."""

import re

import pytest
from marketstream.symbols import is_spelled

BINANCE = re.compile("[A-Z0-9]+")


@pytest.mark.parametrize("symbol", ["BTCUSDT", "1000SATS", "币安人生USDT", "ÉUSDT", "हिUSDT", "コインUSDT", "币"])
def test_letters_of_any_script_are_letters(symbol: str) -> None:
    assert is_spelled(symbol)
    assert is_spelled(symbol, BINANCE)


@pytest.mark.parametrize(
    "symbol",
    [
        "",
        "btcusdt",
        "éUSDT",
        "BTC USDT",
        "BTC,USDT",
        "币 安",
        "币\u3000安",
        "币\u200bUSDT",
        "币\n",
        "币\uff0c安",
        "\ud800",
        "😀USDT",
    ],
)
def test_anything_else_is_not(symbol: str) -> None:
    assert not is_spelled(symbol)
    assert not is_spelled(symbol, BINANCE)


def test_the_separators_of_a_symbol_stand_between_letters() -> None:
    assert is_spelled("币安/USDT")
    assert not is_spelled("/USDT")
    assert not is_spelled("币安/USDT", BINANCE)
