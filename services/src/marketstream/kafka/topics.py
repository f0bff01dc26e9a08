"""A topic's name follows from the symbol alone, so pairs only say who runs where."""

from collections.abc import Iterable

from marketstream.settings import SettingsError


def topic_name(prefix: str, exchange: str, symbol: str) -> str:
    """`trades.binance.btcusdt`: lower case, `/` as `-`."""
    return f"{prefix}.{exchange}.{symbol}".lower().replace("/", "-")


def topic_names(prefix: str, exchange: str, symbols: Iterable[str]) -> dict[str, str]:
    """The symbol of each topic. Raises SettingsError where two symbols would have the same one."""
    topics: dict[str, str] = {}
    for symbol in symbols:
        topic = topic_name(prefix, exchange, symbol)
        if topic in topics:
            raise SettingsError(
                f"SYMBOLS has {symbol!r} beside {topics[topic]!r}: expected symbols whose topics differ, both would be "
                f"{topic}; remove one of them"
            )
        topics[topic] = symbol
    return topics
