"""Topic names. A name depends on the symbol alone, not on the pair that runs it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from marketstream.settings import SettingsError

TROUBLED_S: Final = 10.0
"""Seconds for which a topic may be unusable, as while its leader changes, before a service reports it."""

NAMED: Final = 5
"""Maximum number of topics that a message names."""

LONGEST: Final = 249
"""Maximum number of characters in the name of a topic, by Kafka's own rule."""

_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-")


def topic_name(prefix: str, exchange: str, symbol: str) -> str:
    """Return the name of a symbol's topic, such as `trades.binance.btcusdt`: lower case, with `-` for `/`.

    Kafka allows few other characters. Each UTF-8 byte of any other character becomes `_` and two hexadecimal digits:
    `trades.binance._e5_b8_81_e5_ae_89usdt` for 币安USDT.
    """
    name = symbol.lower().replace("/", "-")
    return f"{prefix}.{exchange}.".lower().replace("/", "-") + "".join(map(_escaped, name))


def _escaped(letter: str) -> str:
    # Bytes of the environment that are not UTF-8 come as surrogates.
    return letter if letter in _PLAIN else "".join(f"_{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))


def named(topics: Sequence[str]) -> str:
    """Return the first topics by name and the number of the others, as text."""
    others = len(topics) - NAMED
    return ", ".join(topics[:NAMED]) + (f" and {others} other{'s' * (others > 1)}" if others > 0 else "")


def topic_problem(problems: Mapping[str, tuple[float, str]]) -> str | None:
    """Return the problems of topics as one text for readiness; None if there are none that last for TROUBLED_S.

    `problems` holds for each topic how many seconds the problem has lasted, and what it is.
    """
    lasting = [
        f"{topic} for {age_s:.0f} s ({why})" for topic, (age_s, why) in sorted(problems.items()) if age_s >= TROUBLED_S
    ]
    return f"unusable topics: {named(lasting)}" if lasting else None


def topic_names(prefix: str, exchange: str, symbols: Iterable[str]) -> dict[str, str]:
    """Return the symbol of each topic.

    Raises SettingsError when two symbols would share a topic, or when the name of a topic is too long for Kafka.
    """
    topics: dict[str, str] = {}
    for symbol in symbols:
        topic = topic_name(prefix, exchange, symbol)
        if topic in topics:
            raise SettingsError(
                f"the symbols {topics[topic]!r} and {symbol!r} would share the topic {topic}: remove one of them",
                "SYMBOLS",
            )
        if len(topic) > LONGEST:
            raise SettingsError(
                f"the topic of the symbol {symbol!r} would have a name of {len(topic)} characters, {topic}: Kafka "
                f"allows at most {LONGEST}; remove the symbol, or shorten TOPIC_PREFIX",
                "SYMBOLS",
            )
        topics[topic] = symbol
    return topics
