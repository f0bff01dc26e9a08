"""Projections of the objects that the operator watches: the few fields of each that it needs, never the object."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from marketstream_operator import names
from marketstream_operator.cluster.claims import Symbol
from marketstream_operator.cluster.podproblems import Problem, has_ended, problem_of
from marketstream_operator.kinds import DEPLOYMENT, KAFKA_TOPIC, MANAGER, MARKET_STREAM, POD, Kind
from marketstream_operator.names import StreamKey


class MarketStream(msgspec.Struct, frozen=True):
    """A MarketStream."""

    key: StreamKey
    uid: str
    version: int
    generation: int
    created: str
    is_deleted: bool
    spec: dict[str, Any]
    status: dict[str, Any]

    @property
    def class_name(self) -> str:
        """The class in its spec; empty if it names none."""
        return str(self.spec.get("className") or "")

    @property
    def about(self) -> dict[str, str]:
        """The reference to this MarketStream in an Event."""
        return {
            "apiVersion": MARKET_STREAM.api_version, "kind": MARKET_STREAM.name, "namespace": self.key.namespace,
            "name": self.key.name, "uid": self.uid,
        }  # fmt: skip


class Deployment(msgspec.Struct, frozen=True):
    """A pair's producer or processor."""

    key: StreamKey
    name: str
    uid: str
    version: int
    pair: str
    role: str
    exchange: str
    symbols: tuple[str, ...]
    owner_uid: str
    digest: str
    spec_digest: str
    managed: str
    """Digest of the operator's entry in managedFields. It changes when another client changes a field of the entry."""
    replicas: int
    generation: int
    is_settled: bool
    """True if all wanted pods are available and all pods are of the newest version."""
    is_ready: bool
    """True if all wanted pods, and at least one, are available."""
    is_stuck: bool = False
    """True if the rollout of the newest version has exceeded its progress deadline."""
    made_by: str = ""
    """The operator that writes the object (names.MADE_BY); empty if any operator may."""
    is_rolling: bool = False
    """True if pods of an older version are left, or the newest version is not known to its controller yet.

    A pod that is replaced after a roll, such as with its node, does not count.
    """
    roll: str = ""
    """The settings for which the Deployment got its last turn (names.ROLL)."""


class Pod(msgspec.Struct, frozen=True):
    """A pod of a pair."""

    key: StreamKey
    name: str
    uid: str
    version: int
    pair: str
    role: str
    exchange: str
    symbols: tuple[str, ...]
    problem: Problem | None


class Topic(msgspec.Struct, frozen=True):
    """A KafkaTopic."""

    key: StreamKey
    name: str
    uid: str
    version: int
    owner_uid: str
    digest: str
    managed: str
    is_ready: bool
    problem: str
    """Strimzi's message about the failure of this topic; empty if there is none."""
    given_name: str = ""
    """The name of the topic in Kafka, if it differs from the object's own name."""
    made_by: str = ""
    """The operator that writes the object (names.MADE_BY); empty if any operator may."""

    @property
    def topic(self) -> str:
        """The name of the topic in Kafka."""
        return self.given_name or self.name


Child = Deployment | Pod | Topic

OTHER_OPERATOR: Final = "OtherOperator"
"""Reason in the status of a MarketStream whose objects belong to another operator."""

CHILD_KINDS: Final = (DEPLOYMENT, POD, KAFKA_TOPIC)


def stream_of(raw: Mapping[str, Any]) -> MarketStream:
    """Return the projection of a MarketStream."""
    meta = raw["metadata"]
    return MarketStream(
        StreamKey(meta["namespace"], meta["name"]), meta["uid"], int(meta["resourceVersion"]), meta["generation"],
        meta["creationTimestamp"], "deletionTimestamp" in meta, raw.get("spec") or {}, raw.get("status") or {},
    )  # fmt: skip


def is_refused(stream: MarketStream) -> bool:
    """Return True if the status says that the objects of the stream belong to another operator than its writer."""
    return stream.status.get("reason") == OTHER_OPERATOR


def child_of(kind: Kind, raw: Mapping[str, Any]) -> Child | None:
    """Return the projection of an object with the operator's labels.

    Return None if the object lacks one of the labels that identify it, or is an ended pod.
    """
    meta = raw["metadata"]
    of = meta.get("labels") or {}
    stream = of.get(names.STREAM)
    if not stream or (kind != KAFKA_TOPIC and names.PAIR not in of) or (kind == POD and has_ended(raw)):
        return None
    notes = meta.get("annotations") or {}
    key = StreamKey(meta["namespace"], stream)
    name, uid, version = meta["name"], meta["uid"], int(meta["resourceVersion"])
    pair, role = of.get(names.PAIR, ""), of.get(names.COMPONENT, "")
    exchange = of.get(names.EXCHANGE, "")
    symbols = tuple(filter(None, notes.get(names.SYMBOLS, "").split(",")))
    if kind == POD:
        return Pod(key, name, uid, version, pair, role, exchange, symbols, problem_of(raw))
    owner_uid = next((o["uid"] for o in meta.get("ownerReferences") or () if o.get("controller")), "")
    digest, managed = notes.get(names.DIGEST, ""), managed_fields(meta)
    made_by = notes.get(names.MADE_BY, "")
    if kind == KAFKA_TOPIC:
        ready, problem = _condition(raw)
        given_name = (raw.get("spec") or {}).get("topicName") or ""
        return Topic(key, name, uid, version, owner_uid, digest, managed, ready, problem, given_name, made_by)
    return Deployment(
        key, name, uid, version, pair, role, exchange, symbols, owner_uid, digest, notes.get(names.SPEC_DIGEST, ""),
        managed, raw["spec"].get("replicas", 1), meta["generation"], *_rollout(raw),
        made_by, _is_rolling(raw), notes.get(names.ROLL, ""),
    )  # fmt: skip


def managed_fields(meta: Mapping[str, Any]) -> str:
    """Return a digest of the fields that the operator has applied and still owns; empty if there are none."""
    for entry in meta.get("managedFields") or ():
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            return hashlib.sha256(msgspec.json.encode(entry.get("fieldsV1"), order="sorted")).hexdigest()[:16]
    return ""


def _rollout(raw: Mapping[str, Any]) -> tuple[bool, bool, bool]:
    """Return `is_settled`, `is_ready` and `is_stuck` of a Deployment."""
    wanted, status = raw["spec"].get("replicas", 1), raw.get("status") or {}
    available = status.get("availableReplicas", 0)
    is_of_newest = status.get("observedGeneration", 0) >= raw["metadata"]["generation"]
    is_settled = (
        is_of_newest
        and status.get("replicas", 0) == wanted
        and status.get("updatedReplicas", 0) == wanted
        and available == wanted
    )
    is_stuck = is_of_newest and any(
        (each.get("type"), each.get("status"), each.get("reason"))
        == ("Progressing", "False", "ProgressDeadlineExceeded")
        for each in status.get("conditions") or ()
    )
    return is_settled, wanted > 0 and available >= wanted, is_stuck


def _is_rolling(raw: Mapping[str, Any]) -> bool:
    status = raw.get("status") or {}
    is_of_newest = bool(status.get("observedGeneration", 0) >= raw["metadata"]["generation"])
    return not is_of_newest or status.get("replicas", 0) > status.get("updatedReplicas", 0)


def _condition(raw: Mapping[str, Any]) -> tuple[bool, str]:
    """Return `is_ready` and `problem` of a KafkaTopic."""
    for condition in (raw.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            if condition.get("status") == "True":
                return True, ""
            return False, str(condition.get("message") or condition.get("reason") or "not ready")
    return False, ""


def symbols_of(child: Child) -> set[Symbol]:
    """Return the symbols that an object runs: none for a topic."""
    if isinstance(child, Topic):
        return set()
    return {names.symbol_identity(child.exchange, symbol) for symbol in child.symbols}
