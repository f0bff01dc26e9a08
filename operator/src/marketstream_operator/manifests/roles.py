"""What the operator may do: one list, from which its roles are made. What is not in it, the operator does not do."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from marketstream_operator.kinds import DEPLOYMENT, EVENT, KAFKA_TOPIC, LEASE, MARKET_STREAM, POD, SECRET, Kind

Scope = Literal["operatorNamespace", "watched", "strimzi"]
"""Where: in the operator's own namespace, in every namespace that it serves, in that of Strimzi's Kafka."""

PolicyRule = dict[str, list[str]]
"""A rule of a role: `apiGroups`, `resources` and `verbs`."""


class Permission(NamedTuple):
    """Verbs on a kind, and the sentence why they are needed."""

    scope: Scope
    kind: Kind
    verbs: Sequence[str]
    why: str
    subresource: str = ""

    def rule(self) -> PolicyRule:
        """As it stands in a role."""
        resource = f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural
        return _rule(resource, self.verbs, self.kind.group)


def _rule(resource: str, verbs: Sequence[str], group: str) -> PolicyRule:
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}


PERMISSIONS: Final = (
    Permission(
        "operatorNamespace", LEASE, ("get", "create", "update"), "The Lease says which of the operator's replicas acts."
    ),
    Permission("watched", MARKET_STREAM, ("list", "watch"), "MarketStreams are read, never changed."),
    Permission("watched", MARKET_STREAM, ("patch",), "Their status says what has become of them.", "status"),
    Permission(
        "watched",
        DEPLOYMENT,
        ("list", "watch", "create", "patch", "delete"),
        "A producer and a processor for each pair: made and changed by server-side apply, pruned by deletion.",
    ),
    Permission(
        "watched", POD, ("list", "watch"), "Why a pod fails is said in the status; a drain waits for the last producer."
    ),
    Permission(
        "watched", SECRET, ("get",), "The connection Secret: the operator asks Kafka and Redis, and pods roll with it."
    ),
    Permission("watched", EVENT, ("create", "patch"), "Events tell what the operator has done; repeats are counted."),
    Permission(
        "strimzi",
        KAFKA_TOPIC,
        ("list", "watch", "create", "patch", "delete"),
        "A topic for each symbol, which Strimzi's topic operator makes.",
    ),
)
"""All that the operator does with the Kubernetes API, but for discovery, which everyone may use."""

READ: Final = ("get", "list", "watch")
WRITE: Final = ("create", "update", "patch", "delete", "deletecollection")

AGGREGATE: Final[dict[str, tuple[PolicyRule, ...]]] = {
    "view": (
        _rule(MARKET_STREAM.plural, READ, MARKET_STREAM.group),
        _rule(f"{MARKET_STREAM.plural}/status", ("get",), MARKET_STREAM.group),
    ),
    "edit": (
        _rule(MARKET_STREAM.plural, (*READ, *WRITE), MARKET_STREAM.group),
        _rule(f"{MARKET_STREAM.plural}/status", ("get",), MARKET_STREAM.group),
    ),
}
"""What people with the cluster's roles may do: `view` is added to view, `edit` to edit and admin. Nobody but the
operator writes a status."""
