"""The observed state of the cluster: projections of objects, by MarketStream.

Observations come from watches, from lists and from the answers to writes. Of two observations of an object, the one
with the higher resourceVersion holds, whatever its source.
"""

from collections.abc import Iterator

import msgspec

from marketstream_operator.cluster.claims import Symbol
from marketstream_operator.cluster.projections import (
    CHILD_KINDS,
    Child,
    Deployment,
    MarketStream,
    Pod,
    Topic,
    is_refused,
    symbols_of,
)
from marketstream_operator.kinds import DEPLOYMENT, KAFKA_TOPIC, POD, Kind
from marketstream_operator.names import StreamKey


class Observed:
    """The latest projections of all objects that the operator serves."""

    def __init__(self) -> None:
        self.streams: dict[StreamKey, MarketStream] = {}
        self.foreign: set[StreamKey] = set()
        """The MarketStreams of other classes: another operator serves them, and their pods concern no other stream."""
        self._children: dict[Kind, dict[StreamKey, dict[str, Child]]] = {kind: {} for kind in CHILD_KINDS}
        self._places: dict[Kind, dict[tuple[str, str], StreamKey]] = {kind: {} for kind in CHILD_KINDS}
        """The stream of each object, by namespace and name: the label that names the stream may be changed."""
        self._runners: dict[Symbol, set[tuple[StreamKey, Kind, str]]] = {}

    def see_stream(self, stream: MarketStream) -> bool:
        """Store a MarketStream. Return True if it is new, or if anything but its status has changed.

        A status that another operator has written counts as a change, too: it is to be corrected.
        """
        known = self.streams.get(stream.key)
        if known is not None and known.version >= stream.version:
            return False
        self.streams[stream.key] = stream
        if known is None or is_refused(stream) > is_refused(known):
            return True
        before, after = ((each.uid, each.generation, each.is_deleted) for each in (known, stream))
        return before != after

    def lose_stream(self, key: StreamKey, uid: str) -> bool:
        """Remove a deleted MarketStream. Return True if it was known."""
        known = self.streams.get(key)
        if known is None or known.uid != uid:
            return False
        del self.streams[key]
        return True

    def find(self, kind: Kind, namespace: str, name: str) -> Child | None:
        """Return the object of this name, whatever its stream is; None when it is unknown."""
        key = self._places[kind].get((namespace, name))
        return None if key is None else self._children[kind][key][name]

    def see(self, kind: Kind, child: Child) -> set[StreamKey]:
        """Store an object. Return the streams that are affected by a change of its projection."""
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
        """Remove a deleted object. Return its last projection; None when it was unknown."""
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
        """Return the Deployments of a stream."""
        return list(self._children[DEPLOYMENT].get(key, {}).values())  # type: ignore[arg-type]

    def pods(self, key: StreamKey) -> list[Pod]:
        """Return the pods of a stream, including those that are being terminated."""
        return list(self._children[POD].get(key, {}).values())  # type: ignore[arg-type]

    def topics(self, key: StreamKey) -> list[Topic]:
        """Return the KafkaTopics of a stream."""
        return list(self._children[KAFKA_TOPIC].get(key, {}).values())  # type: ignore[arg-type]

    def of(self, kind: Kind, key: StreamKey) -> list[Child]:
        """Return the objects of a kind that belong to a stream."""
        return list(self._children[kind].get(key, {}).values())

    def all(self, kind: Kind) -> Iterator[Child]:
        """Yield all objects of a kind."""
        for siblings in self._children[kind].values():
            yield from siblings.values()

    def runners_beside(self, key: StreamKey, symbol: Symbol) -> set[StreamKey]:
        """Return the MarketStreams other than `key` with a pod or a Deployment that still runs the symbol."""
        return {of for of, _, _ in self._runners.get(symbol, ())} - {key} - self.foreign

    def orphans(self, symbol: Symbol) -> list[Deployment]:
        """Return the Deployments that run the symbol and have no owner, so that nobody will ever delete them.

        They are left by `kubectl delete --cascade=orphan`, or by a restore from a backup.
        """
        runners = ((kind, key.namespace, name) for key, kind, name in self._runners.get(symbol, ()))
        found = [self.find(*runner) for runner in runners]
        return [child for child in found if isinstance(child, Deployment) and not child.owner_uid]

    def run_by(self, key: StreamKey) -> set[Symbol]:
        """Return the symbols that the Deployments of a stream run."""
        return {symbol for child in self.deployments(key) if child.replicas for symbol in symbols_of(child)}
