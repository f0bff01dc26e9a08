"""Server-side apply of objects, only when they are due.

Objects cannot be compared with their wanted form: the API server fills in defaults and rewrites quantities. Instead,
each object carries a digest of its inputs, and the API server records the fields that the operator has set
(managedFields). An object is up to date while its digest is the wanted one and the operator's entry in managedFields is
the same as after the operator's last write.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from marketstream_operator import names
from marketstream_operator.cluster.breaker import Breaker, Written
from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import Deployment, Pod, Topic, child_of, managed_fields
from marketstream_operator.kinds import DEPLOYMENT, KAFKA_TOPIC, Kind
from marketstream_operator.kube.api import Api, ApiError, NotLeadingError
from marketstream_operator.names import StreamKey

PARALLEL_WRITES: Final = 8
"""Maximum number of concurrent writes for one MarketStream."""


async def write_all(writes: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """Run these writes, PARALLEL_WRITES at a time.

    A write that the API server rejects (`ApiError.is_refusal`) does not stop the others. After any other ApiError or
    NotLeadingError, no further write is started. At the end, raise the error of the first write, in the order of
    `writes`, that failed: the status shows the error, which should not depend on which write was faster.
    """
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


class OtherOperatorError(ApiError):
    """An object belongs to another operator, so nothing was written."""

    def __init__(self, kind: Kind, namespace: str, name: str, made_by: str) -> None:
        super().__init__(f"{kind.name} {namespace}/{name} belongs to the operator {made_by}", status=409)
        self.kind, self.name, self.made_by = kind, name, made_by


class Applier:
    """Applies objects, and remembers the operator's entry in managedFields after each write.

    `identity` is this operator's (names.MADE_BY): an object that carries another one is not written.
    """

    def __init__(self, api: Api, observed: Observed, identity: str, breaker: Breaker | None = None) -> None:
        self._api = api
        self._observed = observed
        self._identity = identity
        self._breaker = breaker or Breaker()
        self._managed: dict[Written, tuple[str, str]] = {}

    def is_due(self, kind: Kind, live: Deployment | Topic | None, digest: str) -> bool:
        """Return True if an object must be written.

        An object must be written when it is missing (`live` is None), when its digest is another one, or when a field
        that the operator has set was changed. A new process remembers no writes, so it writes each object once, which
        changes nothing.
        """
        if live is None or live.digest != digest:
            return True
        return self._managed.get((kind, live.key.namespace, live.name)) != (live.uid, live.managed)

    async def apply(self, kind: Kind, body: dict[str, Any], live: Deployment | Topic | None) -> None:
        """Write the object, unless it was written too often because somebody else keeps changing it.

        Raises OtherOperatorError when the object belongs to another operator, ConflictError when it has changed since
        it was observed, ApiError, NotLeadingError.
        """
        meta = body["metadata"]
        written = kind, meta["namespace"], meta["name"]
        found = live or self._observed.find(*written)
        if found is not None and not isinstance(found, Pod) and found.made_by not in ("", self._identity):
            raise OtherOperatorError(*written, found.made_by)
        digest = meta.get("annotations", {}).get(names.DIGEST, "")
        if not self._breaker.allows(written, digest):
            return
        if live is not None:
            meta["resourceVersion"] = str(live.version)
        answer = await self._api.apply(kind, meta["namespace"], meta["name"], body)
        self._breaker.count(written, digest)
        self._remember(kind, answer)

    def _remember(self, kind: Kind, answer: Mapping[str, Any]) -> None:
        meta, child = answer["metadata"], child_of(kind, answer)
        if child is None:
            raise ApiError(f"{kind.name} {meta['namespace']}/{meta['name']}: the API server dropped the applied labels")
        self._managed[kind, meta["namespace"], meta["name"]] = meta["uid"], managed_fields(meta)
        self._observed.see(kind, child)

    def forget(self, kind: Kind, namespace: str, name: str) -> None:
        """Forget an object that was deleted."""
        self._managed.pop((kind, namespace, name), None)
        self._breaker.forget((kind, namespace, name))

    def stopped(self, key: StreamKey) -> list[str]:
        """Return the objects of a stream that are left alone because somebody else keeps changing them."""
        children = ((kind, child.name) for kind in (DEPLOYMENT, KAFKA_TOPIC) for child in self._observed.of(kind, key))
        return [
            f"{kind.name} {name}" for kind, name in children if self._breaker.has_stopped((kind, key.namespace, name))
        ]
