"""The names, labels and annotations of what the operator makes. People select by them: they are documented and stay."""

import hashlib
import re
from typing import Final, Literal, NamedTuple

from marketstream.kafka.topics import topic_name

Role = Literal["producer", "processor"]
ROLES: Final[tuple[Role, ...]] = ("producer", "processor")

STREAM: Final = "marketstream.io/stream"
PAIR: Final = "marketstream.io/pair"
EXCHANGE: Final = "marketstream.io/exchange"
COMPONENT: Final = "app.kubernetes.io/component"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
OPERATOR: Final = "marketstream-operator"

SYMBOLS: Final = "marketstream.io/symbols"
"""Annotation of a pair's Deployments and pods: its symbols, separated by commas. The packing is recovered from it."""

DIGEST: Final = "marketstream.io/digest"
"""Annotation: what the object was made from. An object whose digest is the wanted one needs no write."""

SPEC_DIGEST: Final = "marketstream.io/spec-digest"
"""Annotation: the part of it that comes from the MarketStream. When only the rest differs, the operator's own settings
have changed, and pairs roll a few at a time."""

CREDENTIALS: Final = "marketstream.io/credentials"
"""Annotation of a pod: a digest of the credentials that it was started with."""

SELECTOR: Final = f"{MANAGED_BY}={OPERATOR}"
"""Selects all objects of the operator."""

_SLUG_LENGTH: Final = 16


class StreamKey(NamedTuple):
    """Which MarketStream."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def digest(*parts: object) -> str:
    """A short text that differs when any of the parts does. Parts are told apart by their `repr`."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def symbol_identity(exchange: str, symbol: str) -> str:
    """Return the identity by which a symbol is claimed. Symbols that share a topic have the same identity."""
    return topic_name("trades", exchange, symbol)


def pair_of_symbol(symbol: str) -> str:
    """The id of a pair that runs one symbol: readable, and different for every symbol (`btcusdt-1a2b3`)."""
    slug = re.sub("[^a-z0-9]+", "-", symbol.lower()).strip("-")[:_SLUG_LENGTH].strip("-")
    return f"{slug}-{hashlib.sha256(symbol.encode()).hexdigest()[:5]}"


def child_name(stream: str, pair: str, role: Role) -> str:
    """The name of a pair's Deployment: `majors-btcusdt-1a2b3-producer`."""
    return f"{stream}-{pair}-{role}"


def consumer_group(key: StreamKey, pair: str) -> str:
    """The consumer group of a pair's processor."""
    return f"marketstream.{key.namespace}.{key.name}.{pair}"


def labels(stream: str, exchange: str, component: str, pair: str | None = None) -> dict[str, str]:
    """The labels of an object of this stream."""
    of_pair = {PAIR: pair} if pair is not None else {}
    return {
        "app.kubernetes.io/name": "marketstream",
        "app.kubernetes.io/instance": stream,
        COMPONENT: component,
        "app.kubernetes.io/part-of": "marketstream",
        MANAGED_BY: OPERATOR,
        STREAM: stream,
        EXCHANGE: exchange,
        **of_pair,
    }
