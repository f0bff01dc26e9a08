"""What the operator has seen of the cluster: small projections of objects, never the objects.

Watches tell every change; a look at everything, each minute, finds what they have missed. Of two sights of an object
the one of the higher resourceVersion holds, wherever it came from.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from marketstream_operator import names
from marketstream_operator.cluster.claims import Symbol
from marketstream_operator.cluster.podproblems import Problem, has_ended, problem_of
from marketstream_operator.kinds import DEPLOYMENT, KAFKA_TOPIC, MANAGER, MARKET_STREAM, POD, Kind
from marketstream_operator.names import StreamKey


class MarketStream(msgspec.Struct, frozen=True):
    """A MarketStream as it was last seen."""

    key: StreamKey
    uid: str
    version: int
    generation: int
    created: str
    is_deleted: bool
    spec: dict[str, Any]
    status: dict[str, Any]

    @property
    def about(self) -> dict[str, str]:
        """The MarketStream as an Event names it."""
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
    """A digest of the operator's entry in managedFields: another one means that somebody changed a field of ours."""
    replicas: int
    generation: int
    is_settled: bool
    """Whether the pods of the newest version have replaced all others, and are available."""
    is_ready: bool
    """Whether as many pods are available as are wanted, and at least one."""
    is_stuck: bool = False
    """Whether its newest version has not got on for so long that Kubernetes no longer believes in it."""


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
    """What Strimzi says is wrong with it; empty when nothing is."""


Child = Deployment | Pod | Topic

CHILD_KINDS: Final = (DEPLOYMENT, POD, KAFKA_TOPIC)


def stream_of(raw: Mapping[str, Any]) -> MarketStream:
    """The projection of a MarketStream."""
    meta = raw["metadata"]
    return MarketStream(
        StreamKey(meta["namespace"], meta["name"]), meta["uid"], int(meta["resourceVersion"]), meta["generation"],
        meta["creationTimestamp"], "deletionTimestamp" in meta, raw.get("spec") or {}, raw.get("status") or {},
    )  # fmt: skip


def child_of(kind: Kind, raw: Mapping[str, Any]) -> Child | None:
    """The projection of an object that carries the operator's labels; None when it is of no stream, or has ended."""
    meta = raw["metadata"]
    of = meta.get("labels") or {}
    stream = of.get(names.STREAM)
    if not stream or (kind == POD and has_ended(raw)):
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
    if kind == KAFKA_TOPIC:
        ready, problem = _condition(raw)
        return Topic(key, name, uid, version, owner_uid, digest, managed, ready, problem)
    return Deployment(
        key, name, uid, version, pair, role, exchange, symbols, owner_uid, digest, notes.get(names.SPEC_DIGEST, ""),
        managed, raw["spec"].get("replicas", 1), meta["generation"], *_rollout(raw),
    )  # fmt: skip


def managed_fields(meta: Mapping[str, Any]) -> str:
    """A digest of the fields that the operator has applied and still owns."""
    for entry in meta.get("managedFields") or ():
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            return hashlib.sha256(msgspec.json.encode(entry.get("fieldsV1"), order="sorted")).hexdigest()[:16]
    return ""


def _rollout(raw: Mapping[str, Any]) -> tuple[bool, bool, bool]:
    """Whether it is settled, is ready, is stuck."""
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


def _condition(raw: Mapping[str, Any]) -> tuple[bool, str]:
    for condition in (raw.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            if condition.get("status") == "True":
                return True, ""
            return False, str(condition.get("message") or condition.get("reason") or "not ready")
    return False, ""


class Observed:
    """The projections of all that is in the operator's scope."""

    def __init__(self) -> None:
        self.streams: dict[StreamKey, MarketStream] = {}
        self._children: dict[Kind, dict[StreamKey, dict[str, Child]]] = {kind: {} for kind in CHILD_KINDS}
        self._places: dict[Kind, dict[tuple[str, str], StreamKey]] = {kind: {} for kind in CHILD_KINDS}
        """Of which stream an object is, by its namespace and name: its label may be changed."""
        self._runners: dict[Symbol, set[tuple[StreamKey, Kind, str]]] = {}

    def see_stream(self, stream: MarketStream) -> bool:
        """Returns whether it is new, or differs in more than what the operator itself writes there, the status."""
        known = self.streams.get(stream.key)
        if known is not None and known.version >= stream.version:
            return False
        self.streams[stream.key] = stream
        return known is None or (known.uid, known.generation, known.is_deleted) != (
            stream.uid, stream.generation, stream.is_deleted
        )  # fmt: skip

    def lose_stream(self, key: StreamKey, uid: str) -> bool:
        """It was deleted. Returns whether it was there."""
        known = self.streams.get(key)
        if known is None or known.uid != uid:
            return False
        del self.streams[key]
        return True

    def find(self, kind: Kind, namespace: str, name: str) -> Child | None:
        """The object of this name, whichever stream it is of."""
        key = self._places[kind].get((namespace, name))
        return None if key is None else self._children[kind][key][name]

    def see(self, kind: Kind, child: Child) -> set[StreamKey]:
        """Returns the streams for which something has changed that the operator cares for."""
        known = self.find(kind, child.key.namespace, child.name)
        if known is not None and known.version >= child.version:
            return set()
        if known is not None:
            self._remove(kind, known)
        self._children[kind].setdefault(child.key, {})[child.name] = child
        self._places[kind][child.key.namespace, child.name] = child.key
        self._set_running(kind, child, True)
        if known is None:
            return {child.key}
        is_news = msgspec.structs.replace(known, version=child.version) != child
        return {known.key, child.key} if is_news else set()

    def lose(self, kind: Kind, namespace: str, name: str, uid: str) -> Child | None:
        """It was deleted. Returns what it was."""
        known = self.find(kind, namespace, name)
        if known is None or known.uid != uid:
            return None
        self._remove(kind, known)
        return known

    def _remove(self, kind: Kind, child: Child) -> None:
        self._set_running(kind, child, False)
        del self._places[kind][child.key.namespace, child.name]
        siblings = self._children[kind][child.key]
        del siblings[child.name]
        if not siblings:
            del self._children[kind][child.key]

    def _set_running(self, kind: Kind, child: Child, is_running: bool) -> None:
        if isinstance(child, Topic) or (isinstance(child, Deployment) and not child.replicas):
            return
        runner = (child.key, kind, child.name)
        for symbol in symbols_of(child):
            runners = self._runners.setdefault(symbol, set())
            if is_running:
                runners.add(runner)
            else:
                runners.discard(runner)
            if not runners:
                del self._runners[symbol]

    def deployments(self, key: StreamKey) -> list[Deployment]:
        """Those of a stream."""
        return list(self._children[DEPLOYMENT].get(key, {}).values())  # type: ignore[arg-type]

    def pods(self, key: StreamKey) -> list[Pod]:
        """Those of a stream, the ones that are being ended too."""
        return list(self._children[POD].get(key, {}).values())  # type: ignore[arg-type]

    def topics(self, key: StreamKey) -> list[Topic]:
        """Those of a stream."""
        return list(self._children[KAFKA_TOPIC].get(key, {}).values())  # type: ignore[arg-type]

    def all(self, kind: Kind) -> Iterator[Child]:
        """All children of a kind."""
        for siblings in self._children[kind].values():
            yield from siblings.values()

    def runners_beside(self, key: StreamKey, symbol: Symbol) -> set[StreamKey]:
        """The other MarketStreams of which a pod or a Deployment still runs the symbol."""
        return {of for of, _, _ in self._runners.get(symbol, ())} - {key}

    def run_by(self, key: StreamKey) -> set[Symbol]:
        """What the Deployments of a stream run."""
        return {symbol for child in self.deployments(key) if child.replicas for symbol in symbols_of(child)}


def symbols_of(child: Child) -> set[Symbol]:
    """The symbols that it stands for."""
    return set() if isinstance(child, Topic) else {names.identity(child.exchange, symbol) for symbol in child.symbols}
