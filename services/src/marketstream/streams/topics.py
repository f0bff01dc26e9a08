"""A topic's name follows from the symbol alone, so pairs only say who runs where."""


def topic_name(prefix: str, exchange: str, symbol: str) -> str:
    """`trades.binance.btcusdt`: lower case, `/` as `-`."""
    return f"{prefix}.{exchange}.{symbol}".lower().replace("/", "-")
