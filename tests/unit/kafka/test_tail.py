"""The choice of topics by exchange and symbol."""

import pytest
from marketstream.kafka.tail import matching

TOPICS = [
    "trades.replay.btcusdt",
    "trades.binance.ethusdt",
    "trades.binance.btcusdt",
    "trades.kraken.xbt-usdt",
    "other",
]


@pytest.mark.parametrize(
    ("exchange", "symbols", "found"),
    [
        (None, (), sorted(TOPICS[:4])),
        ("binance", (), ["trades.binance.btcusdt", "trades.binance.ethusdt"]),
        (None, ("BTCUSDT",), ["trades.binance.btcusdt", "trades.replay.btcusdt"]),
        ("BINANCE", ("btcusdt", "ethusdt"), ["trades.binance.btcusdt", "trades.binance.ethusdt"]),
        (None, ("XBT/USDT",), ["trades.kraken.xbt-usdt"]),
        ("binance", ("NOPE",), []),
    ],
)
def test_topics_are_chosen_by_exchange_and_symbol(
    exchange: str | None, symbols: tuple[str, ...], found: list[str]
) -> None:
    assert matching(TOPICS, "trades", exchange, symbols) == found


def test_the_prefix_may_have_dots_and_capitals() -> None:
    assert matching(["my.trades.binance.btcusdt"], "My.Trades", "binance", ["BTCUSDT"]) == ["my.trades.binance.btcusdt"]
