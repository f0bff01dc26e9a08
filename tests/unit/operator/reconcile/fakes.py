"""A cluster in memory: an API that applies and deletes objects, and the parts that observe them."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any, cast

import msgspec
from marketstream.settings import Settings
from marketstream_operator.cluster.access import Cluster
from marketstream_operator.cluster.apply import Applier
from marketstream_operator.cluster.claims import Claims
from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import Deployment, MarketStream
from marketstream_operator.kinds import DEPLOYMENT, Kind
from marketstream_operator.kube.api import Api, ApiError
from marketstream_operator.names import StreamKey, child_name
from marketstream_operator.plan.connection import Connection
from marketstream_operator.reconcile.probers import Probers
from marketstream_operator.settings import OperatorSettings

KEY = StreamKey("markets", "majors")
CONNECTION = Connection({}, {}, Settings(), "c")


def stream(*, uid: str = "u", version: int = 1, is_deleted: bool = False, **spec: Any) -> MarketStream:
    """Return a MarketStream of the simulator with one symbol, but for the changes."""
    wanted = {"exchange": "simulator", "symbols": ["AAA"]} | spec
    return MarketStream(KEY, uid, version, version, "2026-03-01T12:00:00Z", is_deleted, wanted, {})


def deployment(pair: str, role: str, **changes: Any) -> Deployment:
    """Return a Deployment of `majors` that is settled and ready, but for the changes."""
    made = Deployment(
        key=KEY, name=f"majors-{pair}-{role}", uid=f"{pair}-{role}", version=1, pair=pair, role=role,
        exchange="simulator", symbols=(), owner_uid="u", digest="d", spec_digest="s", managed="m", replicas=1,
        generation=1, is_settled=True, is_ready=True,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


class Objects:
    """An API server with Deployments. `refusal` is raised in place of every apply."""

    def __init__(self) -> None:
        self.applied: list[str] = []
        self.deleted: list[str] = []
        self.refusal: ApiError | None = None
        self.exists = True
        """False if the API server reports that the MarketStream no longer exists."""
        self._versions = itertools.count(100, 10)

    async def apply(self, _kind: Kind, _namespace: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.refusal is not None:
            raise self.refusal
        self.applied.append(name)
        version = str(next(self._versions))
        return body | {"metadata": body["metadata"] | {"uid": name, "resourceVersion": version, "generation": 1}}

    async def delete(self, _kind: Kind, _namespace: str, name: str, *_: Any) -> None:
        self.deleted.append(name)

    async def is_there(self, *_: Any) -> bool:
        return self.exists

    async def list(self, *_: Any) -> AsyncIterator[Any]:
        for pod in ():
            yield pod


def cluster_of(objects: Objects, *live: Deployment) -> Cluster:
    """Return a cluster in which these Deployments have been observed."""
    observed, api = Observed(), cast("Api", objects)
    for child in live:
        observed.see(DEPLOYMENT, child)
    return Cluster(api, observed, Claims(), Applier(api, observed, OperatorSettings().identity))


def names(pair: str) -> list[str]:
    """Return the names of the two Deployments of a pair of `majors`."""
    return [child_name(KEY.name, pair, role) for role in ("producer", "processor")]


async def answered(probers: Probers) -> None:
    """Wait until all questions to Kafka have been answered."""
    while probers._tasks:
        await asyncio.gather(*probers._tasks)
