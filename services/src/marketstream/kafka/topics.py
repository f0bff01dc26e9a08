"""Topic names. A name depends on the symbol alone, not on the pair that runs it."""

from collections.abc import Iterable

from marketstream.settings import SettingsError


def topic_name(prefix: str, exchange: str, symbol: str) -> str:
    """Return the name of a symbol's topic, such as `trades.binance.btcusdt`: lower case, with `-` for `/`."""
    return f"{prefix}.{exchange}.{symbol}".lower().replace("/", "-")


def topic_names(prefix: str, exchange: str, symbols: Iterable[str]) -> dict[str, str]:
    """Return the symbol of each topic. Raises SettingsError when two symbols would share a topic."""
    topics: dict[str, str] = {}
    for symbol in symbols:
        topic = topic_name(prefix, exchange, symbol)
        if topic in topics:
            raise SettingsError(
                f"SYMBOLS has both {topics[topic]!r} and {symbol!r}: expected symbols with different topics, but both "
                f"would use {topic}; remove one of them"
            )
        topics[topic] = symbol
    return topics
