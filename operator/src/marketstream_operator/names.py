"""Names, labels and annotations of the objects that the operator creates.

Users select objects by them: they are documented and must not change.
"""

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
INSTANCE: Final = "app.kubernetes.io/instance"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
OPERATOR: Final = "marketstream-operator"

SYMBOLS: Final = "marketstream.io/symbols"
"""Annotation of the Deployments and pods of a pair: its symbols, separated by commas.

The operator recovers from this annotation which pair runs which symbol.
"""

DIGEST: Final = "marketstream.io/digest"
"""Annotation: a digest of the inputs of the object. While the digest is the desired one, no write is needed."""

SPEC_DIGEST: Final = "marketstream.io/spec-digest"
"""Annotation: a digest of the inputs that come from the MarketStream.

When only DIGEST differs, the operator's own settings have changed, and pairs roll a few at a time.
"""

ROLL: Final = "marketstream.io/roll"
"""Annotation: a digest of the operator's settings for which a Deployment got a turn to roll.

While the roll has not ended, its pair holds the turn, even under another leader.
"""

MADE_BY: Final = "marketstream.io/operator"
"""Annotation: the operator that writes the object, by the namespace and the name of its Lease.

No other operator writes the object while it has this annotation.
"""

CREDENTIALS: Final = "marketstream.io/credentials"
"""Annotation of a pod: a digest of the credentials with which the pod was started."""

SELECTOR: Final = STREAM
"""A selector for all objects that the operator manages: those with this label, whatever its value.

The label is the operator's own. Other tools overwrite MANAGED_BY, which only informs.
"""

_SLUG_LENGTH: Final = 16
_HASH_LENGTH: Final = 5
_LONGER_HASH: Final = 10
"""Digits of the hash for symbols beyond ASCII. The slug drops their letters, so only the hash tells them apart."""

_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_OBJECT: Final = 253


class StreamKey(NamedTuple):
    """The namespace and name of a MarketStream."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def digest(*parts: object) -> str:
    """Return a short digest that differs when the `repr` of any part differs."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def symbol_identity(exchange: str, symbol: str) -> str:
    """Return the identity by which a symbol is claimed. Symbols that share a topic have the same identity."""
    return topic_name("trades", exchange, symbol)


def topic_identity(name: str) -> str:
    """Return the identity of the symbol whose topic has this name after the prefix, such as `binance.btcusdt`."""
    return f"trades.{name}"


def pair_of_symbol(symbol: str) -> str:
    """Return the id of a pair that runs one symbol: readable, and different for every symbol (`btcusdt-1a2b3`)."""
    length = _HASH_LENGTH if symbol.isascii() else _LONGER_HASH
    slug = re.sub("[^a-z0-9]+", "-", symbol.lower()).strip("-")[: _SLUG_LENGTH + _HASH_LENGTH - length].strip("-")
    return f"{slug}-{hashlib.sha256(symbol.encode()).hexdigest()[:length]}".lstrip("-")


def topic_object(topic: str) -> str:
    """Return the name of the KafkaTopic of a topic: the same name, unless Kubernetes does not allow it for an object.

    Otherwise the name keeps the letters that are allowed, and ends in a hash of the topic's name.
    """
    if _SUBDOMAIN.fullmatch(topic) and len(topic) <= _LONGEST_OBJECT:
        return topic
    ending = hashlib.sha256(topic.encode()).hexdigest()[:8]
    parts = (re.sub("[^-a-z0-9]+", "", re.sub("_[0-9a-f]{2}", "", part)).strip("-") for part in topic.split("."))
    return f"{'.'.join(filter(None, parts))[:200].rstrip('.-')}-{ending}".lstrip("-")


def child_name(stream: str, pair: str, role: Role) -> str:
    """Return the name of a Deployment of a pair, such as `majors-btcusdt-1a2b3-producer`."""
    return f"{stream}-{pair}-{role}"


def consumer_group(key: StreamKey, pair: str) -> str:
    """Return the consumer group of the processor of a pair."""
    return f"marketstream.{key.namespace}.{key.name}.{pair}"


def labels(stream: str, exchange: str, component: str, pair: str | None = None) -> dict[str, str]:
    """Return the labels of an object of a stream."""
    of_pair = {PAIR: pair} if pair is not None else {}
    return {
        "app.kubernetes.io/name": "marketstream",
        INSTANCE: stream,
        COMPONENT: component,
        "app.kubernetes.io/part-of": "marketstream",
        MANAGED_BY: OPERATOR,
        STREAM: stream,
        EXCHANGE: exchange,
        **of_pair,
    }
