"""Names of the keys, which other programs read."""

from marketstream.redis.keys import Keys


def test_exact_keys_name_the_exchange() -> None:
    assert Keys.of("binance", "BTCUSDT") == (
        "binance:BTCUSDT:price", "binance:BTCUSDT:current_candle", "binance:BTCUSDT:last_candle",
        "stream:binance:BTCUSDT",
    )  # fmt: skip


def test_short_keys_do_not() -> None:
    assert Keys.short("BTCUSDT") == ("BTCUSDT:price", "BTCUSDT:current_candle", "BTCUSDT:last_candle")
