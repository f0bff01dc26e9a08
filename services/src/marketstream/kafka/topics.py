"""Topic names. A name depends on the symbol alone, not on the pair that runs it."""

from collections.abc import Iterable, Mapping
from typing import Final

from marketstream.settings import SettingsError

TROUBLED_S: Final = 10.0
"""Seconds for which a topic may be unusable, as while its leader changes, before a service reports it."""

NAMED: Final = 5
"""Maximum number of topics that a message names."""


def topic_name(prefix: str, exchange: str, symbol: str) -> str:
    """Return the name of a symbol's topic, such as `trades.binance.btcusdt`: lower case, with `-` for `/`."""
    return f"{prefix}.{exchange}.{symbol}".lower().replace("/", "-")


def topic_problem(problems: Mapping[str, tuple[float, str]]) -> str | None:
    """Return the problems of topics as one text for readiness; None if there are none that last for TROUBLED_S.

    `problems` holds for each topic how many seconds the problem has lasted, and what it is.
    """
    lasting = {topic: found for topic, found in problems.items() if found[0] >= TROUBLED_S}
    named = [f"{topic} for {age_s:.0f} s ({why})" for topic, (age_s, why) in sorted(lasting.items())[:NAMED]]
    others = f" and {len(lasting) - NAMED} others" if len(lasting) > NAMED else ""
    return f"unusable topics: {', '.join(named)}{others}" if lasting else None


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
