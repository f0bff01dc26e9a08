"""Objects as the API server shows them, and an API that lists such objects."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from marketstream_operator.cluster.projections import Child, child_of
from marketstream_operator.kinds import DEPLOYMENT, MARKET_STREAM, POD, Kind
from marketstream_operator.kube.api import ApiError
from marketstream_operator.names import StreamKey, labels, symbol_identity

BTC = symbol_identity("binance", "BTCUSDT")
OLD, NEW = StreamKey("markets", "old"), StreamKey("markets", "new")


def child(
    name: str = "pod", *, of: str = "old", uid: str = "1", version: int = 1, namespace: str = "markets", **changes: Any
) -> dict[str, Any]:
    metadata = {
        "name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(version), "generation": 1,
        "labels": labels(of, "binance", "producer", "p0"), "annotations": {"marketstream.io/symbols": "BTCUSDT"},
    }  # fmt: skip
    return {"metadata": metadata, "spec": {"replicas": 1}, "status": {}, **changes}


def stream(
    name: str, *, uid: str, created: str = "2026-01-01T00:00:00Z", version: int = 1, namespace: str = "markets",
    **spec: Any,
) -> dict[str, Any]:  # fmt: skip
    metadata = {
        "name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(version), "generation": version,
        "creationTimestamp": created,
    }  # fmt: skip
    return {"metadata": metadata, "spec": {"exchange": "binance", "symbols": ["BTCUSDT"], **spec}}


def projection(kind: Kind, raw: dict[str, Any]) -> Child:
    found = child_of(kind, raw)
    assert found is not None
    return found


class Lists:
    """An API that lists `objects`, or raises one of `errors`, and calls `meanwhile` after each list."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.objects: dict[Kind, list[Any]] = {MARKET_STREAM: [], DEPLOYMENT: [], POD: []}
        self.errors: dict[tuple[Kind, str | None], ApiError] = {}
        self._meanwhile = meanwhile

    async def list(self, kind: Kind, namespace: str | None, *_: Any) -> AsyncIterator[Any]:
        if error := self.errors.get((kind, namespace)):
            raise error
        for each in self.objects[kind]:
            if namespace in (None, each["metadata"]["namespace"]):
                yield each
        self._meanwhile()
