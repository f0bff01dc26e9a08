"""Writing what is wanted, and only when it is needed.

Comparing an object with what is wanted of it does not work: the API server fills in defaults and rewrites quantities.
Instead, an object carries a digest of what it was made from, and the API server keeps account of which fields we have
set (managedFields). While the digest is the wanted one, and our entry is still what it was after our last write, nobody
has touched what is ours.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import Deployment, Topic, child_of, managed_fields
from marketstream_operator.kinds import Kind
from marketstream_operator.kube.api import Api, ApiError, NotLeadingError

Written = tuple[Kind, str, str]

PARALLEL_WRITES: Final = 8
"""Writes of one MarketStream that are under way at the same time."""


async def write_all(writes: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """Makes these writes, a few at the same time. One that is refused keeps no other from being made; when the API
    server cannot do any now, no more are begun. Raises the ApiError of the first of these writes after that: the status
    tells it, and should not change with who was faster."""
    turns, errors = asyncio.Semaphore(PARALLEL_WRITES), dict[int, ApiError | NotLeadingError]()

    async def make(number: int, write: Callable[[], Awaitable[object]]) -> None:
        async with turns:
            if all(isinstance(error, ApiError) and error.is_refusal for error in errors.values()):
                try:
                    await write()
                except (ApiError, NotLeadingError) as error:
                    errors[number] = error

    async with asyncio.TaskGroup() as group:
        for number, write in enumerate(writes):
            group.create_task(make(number, write))
    if errors:
        raise errors[min(errors)]


class Applier:
    """Applies objects, and remembers what our entry in managedFields was after each write."""

    def __init__(self, api: Api, observed: Observed) -> None:
        self._api = api
        self._observed = observed
        self._managed: dict[Written, tuple[str, str]] = {}

    def is_due(self, kind: Kind, live: Deployment | Topic | None, digest: str) -> bool:
        """Whether an object must be written: it is not there, is made from something else, or somebody has changed a
        field of ours. In a new process nothing is remembered yet, so each is written once, which changes nothing."""
        if live is None or live.digest != digest:
            return True
        return self._managed.get((kind, live.key.namespace, live.name)) != (live.uid, live.managed)

    async def apply(self, kind: Kind, body: dict[str, Any], live: Deployment | Topic | None) -> None:
        """Writes it, unless it has changed since it was seen. Raises ConflictError, ApiError."""
        meta = body["metadata"]
        if live is not None:
            meta["resourceVersion"] = str(live.version)
        answer = await self._api.apply(kind, meta["namespace"], meta["name"], body)
        self._remember(kind, answer)

    def _remember(self, kind: Kind, answer: Mapping[str, Any]) -> None:
        meta, child = answer["metadata"], child_of(kind, answer)
        if child is None:
            raise ApiError(
                f"{kind.name} {meta['namespace']}/{meta['name']}: the labels that were applied are not there"
            )
        self._managed[kind, meta["namespace"], meta["name"]] = meta["uid"], managed_fields(meta)
        self._observed.see(kind, child)

    def forget(self, kind: Kind, namespace: str, name: str) -> None:
        """The object is gone."""
        self._managed.pop((kind, namespace, name), None)
