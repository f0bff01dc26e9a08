"""The symbols of the fake Binance of these tests."""

SYMBOLS = ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
