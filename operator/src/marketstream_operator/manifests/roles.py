"""The permissions of the operator: one list, from which its roles are generated. The operator uses no others."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from marketstream_operator.kinds import DEPLOYMENT, EVENT, KAFKA_TOPIC, LEASE, MARKET_STREAM, POD, SECRET, Kind

Scope = Literal["operatorNamespace", "watched", "strimzi"]
"""Namespaces of a permission: the operator's own, every namespace that the operator serves, that of Strimzi's Kafka."""

PolicyRule = dict[str, list[str]]
"""A rule of a role: `apiGroups`, `resources` and `verbs`."""


class Permission(NamedTuple):
    """Verbs on a kind of objects, and the reason why the operator needs them, as a sentence."""

    scope: Scope
    kind: Kind
    verbs: Sequence[str]
    why: str
    subresource: str = ""

    def rule(self) -> PolicyRule:
        """Return the permission as a rule of a role."""
        resource = f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural
        return _rule(resource, self.verbs, self.kind.group)


def _rule(resource: str, verbs: Sequence[str], group: str) -> PolicyRule:
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}


PERMISSIONS: Final = (
    Permission(
        "operatorNamespace",
        LEASE,
        ("get", "create", "update"),
        "The holder of the Lease is the replica that reconciles.",
    ),
    Permission("watched", MARKET_STREAM, ("list", "watch"), "MarketStreams are read, never changed."),
    Permission("watched", MARKET_STREAM, ("patch",), "The operator writes their status.", "status"),
    Permission(
        "watched",
        DEPLOYMENT,
        ("list", "watch", "create", "patch", "delete"),
        "A producer and a processor for each pair: created and changed by server-side apply, deleted when unwanted.",
    ),
    Permission(
        "watched", POD, ("list", "watch"), "The status reports why pods fail; a drain waits for the last producer."
    ),
    Permission(
        "watched",
        SECRET,
        ("get",),
        "The connection Secret: the operator connects to Kafka and Redis, and rolls pods on changes.",
    ),
    Permission(
        "watched", EVENT, ("create", "patch"), "Events report changes of conditions; repeated Events are counted."
    ),
    Permission(
        "strimzi",
        KAFKA_TOPIC,
        ("list", "watch", "create", "patch", "delete"),
        "A KafkaTopic for each symbol, from which Strimzi creates the topic.",
    ),
)
"""All uses of the Kubernetes API by the operator, except discovery, which is open to everyone."""

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
"""Rules to add to the cluster's own roles for people: `view` to the role view, `edit` to edit and admin.

Nobody but the operator may write a status.
"""
