"""Evaluate NetworkPolicies as a cluster's network does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Final

Object = dict[str, Any]

_TESTS: Final = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
}


@dataclass(frozen=True)
class Pod:
    """A pod, or a host outside the cluster if it has an `address`."""

    labels: Mapping[str, str]
    namespace: str = "test"
    ports: Mapping[str, int] = field(default_factory=dict)
    address: str = ""


def pod_of(template: Object, namespace: str = "test") -> Pod:
    """Return the pod of a template."""
    ports = {p["name"]: p["containerPort"] for c in template["spec"]["containers"] for p in c.get("ports", [])}
    return Pod(template["metadata"]["labels"], namespace, ports)


def reaches(policies: Sequence[Object], source: Pod, target: Pod, port: int) -> bool:
    """Return True if the policies of both pods allow a connection from the source to the target's port."""
    return _passes(policies, "Egress", source, target, target, port) and _passes(
        policies, "Ingress", target, source, target, port
    )


def _passes(policies: Sequence[Object], direction: str, own: Pod, other: Pod, target: Pod, port: int) -> bool:
    """Return True if no policy selects the pod, or one that does allows the connection."""
    held = [
        policy["spec"]
        for policy in policies
        if not own.address
        and policy["metadata"]["namespace"] == own.namespace
        and direction in policy["spec"]["policyTypes"]
        and selects(policy["spec"]["podSelector"], own.labels)
    ]
    peers = "to" if direction == "Egress" else "from"
    rules = [rule for spec in held for rule in spec.get(direction.lower()) or []]
    return not held or any(
        (not rule.get(peers) or any(_is(peer, other, own.namespace) for peer in rule[peers]))
        and (not rule.get("ports") or any(target.ports.get(p["port"], p["port"]) == port for p in rule["ports"]))
        for rule in rules
    )


def _is(peer: Object, other: Pod, namespace: str) -> bool:
    if block := peer.get("ipBlock"):
        address = other.address and ip_address(other.address)
        return bool(address) and address in ip_network(block["cidr"]) and not any(
            address in ip_network(inside) for inside in block.get("except", [])
        )  # fmt: skip
    if other.address:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace}):
            return False
    elif other.namespace != namespace:
        return False
    return selects(peer.get("podSelector", {}), other.labels)


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Return True if a LabelSelector matches these labels. An empty selector matches all."""
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _TESTS[rule["operator"]](labels.get(rule["key"]), rule.get("values", []))
        for rule in selector.get("matchExpressions") or []
    )
