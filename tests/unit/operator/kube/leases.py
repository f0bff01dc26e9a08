"""A Lease in memory, and candidates for the Lease in virtual time."""

import asyncio
import contextlib
import copy
import itertools
from collections.abc import Callable
from random import Random
from typing import Any

from marketstream_operator.kinds import LEASE, Kind
from marketstream_operator.kube.api import ApiError, ConflictError, NotFoundError
from marketstream_operator.kube.election import DURATION_S, RENEW_DEADLINE_S, Election

from tests.unit.virtual import seconds_until

LATENCY_S = 0.01


def now() -> float:
    return asyncio.get_running_loop().time()


class Store:
    """One Lease, versioned as by the API server."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self._versions = itertools.count(1)

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease is not None
        return self.lease["spec"]

    def get(self) -> dict[str, Any]:
        if self.lease is None:
            raise NotFoundError("no such lease", 404)
        return copy.deepcopy(self.lease)

    def put(self, body: dict[str, Any]) -> dict[str, Any]:
        version = body["metadata"].get("resourceVersion")
        if version is None and self.lease is not None:
            raise ConflictError("exists already", 409)
        if version is not None and self.lease is None:
            raise NotFoundError("no such lease", 404)
        if version is not None and version != self.lease["metadata"]["resourceVersion"]:
            raise ConflictError("the object has been modified", 409)
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(next(self._versions))
        return copy.deepcopy(self.lease)


class Link:
    """The connection of one candidate to the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.there_s = self.back_s = LATENCY_S
        self.is_cut = False
        """True while requests neither arrive nor fail."""
        self.loses_answers = False
        self.error: ApiError | None = None

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        assert (kind, namespace, name) == (LEASE, "ns", "lease")
        return await self._ask(self._store.get)

    async def write_lease(self, namespace: str, name: str, body: dict[str, Any], limit_s: float) -> dict[str, Any]:
        assert (namespace, name) == ("ns", "lease")
        assert limit_s < DURATION_S - RENEW_DEADLINE_S
        return await self._ask(lambda: self._store.put(body), lambda: self.loses_answers)

    async def _ask(
        self, request: Callable[[], dict[str, Any]], is_lost: Callable[[], bool] = lambda: False
    ) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        await asyncio.sleep(self.there_s)
        if self.is_cut:
            await asyncio.Event().wait()
        answer = request()
        await asyncio.sleep(self.back_s)
        if is_lost():
            await asyncio.Event().wait()
        return answer


class Candidate:
    """A replica; `is_acting` is True while it leads."""

    def __init__(self, store: Store, name: str, clock_is: float = 0.0) -> None:
        self.name = name
        self.link = Link(store)
        loop = asyncio.get_running_loop()
        self.election = Election(
            self.link, "ns", "lease", name, rng=Random(name), clock=lambda: loop.time() + clock_is  # type: ignore[arg-type]
        )  # fmt: skip
        self.is_acting = False
        self.cleanup_s = 0.0
        self.task = asyncio.create_task(self.election.run(self._lead))

    async def _lead(self) -> None:
        assert self.election.holds()
        self.is_acting = True
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(self.cleanup_s)
            self.is_acting = False

    async def leads(self, limit_s: float = 60) -> float:
        """Wait until the replica leads, and return the time."""
        return await seconds_until(lambda: self.is_acting and self.election.holds(), limit_s)

    def die(self) -> None:
        """Cut the connection permanently."""
        self.link.is_cut = True

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
