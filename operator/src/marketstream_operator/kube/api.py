"""The Kubernetes API as the operator uses it: plain JSON objects, a limit for every call, typed errors.

It speaks through `kubernetes.aio`'s client, which brings the ways to log in, but below its generated models: these
would cost a copy of every object and refuse fields that they do not know.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import aiohttp
import msgspec
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from marketstream_operator import metrics
from marketstream_operator.kinds import LEASE, MANAGER, Kind

READ_S: Final = 10.0
WRITE_S: Final = 4.0
"""Seconds for one call. A write must end before a lost lease could have been taken over (election.py)."""

WRITES: Final = 16
"""Writes under way at the same time. More would only wait in the API server, while their limits run out."""

CHUNK: Final = 250
"""Objects in one page of a list: 4,000 Deployments at once would take 100 MB."""

_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"


class ApiError(Exception):
    """The API server refused, or did not answer in time. `status` is the HTTP status, 0 without an answer."""

    def __init__(self, message: str, status: int = 0, reason: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s
        """Seconds for which the server asks to be left alone; None when it does not say."""

    @property
    def is_refusal(self) -> bool:
        """Whether this request was wrong, not the moment: another may go well now."""
        return 400 <= self.status < 500 and self.status != 429


class ConflictError(ApiError):
    """The object has changed since it was read, or exists already."""


class NotFoundError(ApiError):
    """There is no such object, or no such kind."""


class GoneError(ApiError):
    """The page of a list, or the version to watch from, is no longer kept."""


class NotLeadingError(Exception):
    """A write was about to be made without holding the lease."""


class Api:
    """A client of the API server.

    `may_write` is the guard of all writes but those of the Lease: it is called just before each write is sent, and
    while it returns False, writes raise NotLeadingError. It has no default, so that no client writes by oversight.
    """

    def __init__(self, configuration: Configuration, *, may_write: Callable[[], bool]) -> None:
        configuration.connection_pool_maxsize = 64
        self._client = ApiClient(configuration)
        self._client.user_agent = MANAGER
        self._turns = asyncio.Semaphore(WRITES)
        self._may_write = may_write

    async def close(self) -> None:
        """Ends its connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        """Raises NotFoundError, ApiError."""
        return await self._call("GET", _path(kind, namespace, name))

    async def list(
        self, kind: Kind, namespace: str | None, selector: str = "", fields: str = ""
    ) -> AsyncIterator[dict[str, Any]]:
        """All objects of `kind` in the namespace, or in all for None, a page at a time; only those whose labels and
        fields are as the selectors say. Raises ApiError."""
        query = {"limit": str(CHUNK)}
        if selector:
            query["labelSelector"] = selector
        if fields:
            query["fieldSelector"] = fields
        while True:
            page = await self._call("GET", _path(kind, namespace), query)
            for item in page["items"]:
                yield item
            token = page["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    async def is_there(self, kind: Kind, namespace: str, name: str, uid: str) -> bool:
        """Whether this very object is there now. Needs no other right than a look at everything. Raises ApiError."""
        found = [each["metadata"]["uid"] async for each in self.list(kind, namespace, fields=f"metadata.name={name}")]
        return uid in found

    async def knows(self, kind: Kind) -> bool:
        """Whether the server serves this kind, by discovery. A new kind may be served before it is in the list of
        groups, from which kopf learns of it."""
        groups = await self._call("GET", "/apis")
        if kind.group not in (group["name"] for group in groups["groups"]):
            return False
        try:
            found = await self._call("GET", f"/apis/{kind.group}/{kind.version}")
        except NotFoundError:
            return False
        return any(resource["name"] == kind.plural for resource in found["resources"])

    async def apply(self, kind: Kind, namespace: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Server-side apply: makes the object, or sets the fields of `body` and removes those that an earlier one set.

        With a `resourceVersion` in the body a newer object is left alone: ConflictError.
        """
        return await self._write(
            "PATCH", _path(kind, namespace, name), {"fieldManager": MANAGER, "force": "true"}, body, _APPLY
        )

    async def create(self, kind: Kind, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises ConflictError when it exists already."""
        return await self._write("POST", _path(kind, namespace), {"fieldManager": MANAGER}, body)

    async def patch_status(
        self, kind: Kind, namespace: str, name: str, resource_version: str, status: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Replaces the fields of the status that are given, unless the object has changed: ConflictError."""
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        path = _path(kind, namespace, name) + "/status"
        return await self._write("PATCH", path, {"fieldManager": MANAGER}, body, _MERGE)

    async def merge(self, kind: Kind, namespace: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A JSON merge patch. Raises NotFoundError, ConflictError."""
        return await self._write("PATCH", _path(kind, namespace, name), {"fieldManager": MANAGER}, body, _MERGE)

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str, version: int) -> None:
        """Deletes this very object as it was seen, its dependents after it. That it is gone is no error. Raises
        ConflictError when it has changed: it may have become somebody else's."""
        body = {"propagationPolicy": "Background", "preconditions": {"uid": uid, "resourceVersion": str(version)}}
        with contextlib.suppress(NotFoundError):
            await self._write("DELETE", _path(kind, namespace, name), {}, body)

    async def write_lease(self, namespace: str, name: str, body: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        """Makes the Lease, or replaces the one whose `resourceVersion` the body carries. Raises ConflictError."""
        if "resourceVersion" in body["metadata"]:
            return await self._call("PUT", _path(LEASE, namespace, name), {}, body, limit_s=limit_s)
        return await self._call("POST", _path(LEASE, namespace), {}, body, limit_s=limit_s)

    async def _write(
        self, method: str, path: str, query: Mapping[str, str], body: Any, content_type: str = "application/json"
    ) -> dict[str, Any]:
        async with self._turns:
            if not self._may_write():
                raise NotLeadingError(f"{method} {path} is left: this process does not hold the lease")
            return await self._call(method, path, query, body, content_type, WRITE_S)

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        limit_s: float = READ_S,
    ) -> dict[str, Any]:
        method, url, headers, body, _ = await self._client.param_serialize(
            method, path, query_params=list((query or {}).items()), body=body, auth_settings=["BearerToken"],
            header_params={"Accept": "application/json", "Content-Type": content_type},
        )  # fmt: skip
        try:
            async with asyncio.timeout(limit_s):
                answer = await self._client.call_api(method, url, headers, body)
                data = await answer.read()  # type: ignore[no-untyped-call]
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            metrics.API_REQUESTS.labels(method, 0).inc()
            raise ApiError(f"{method} {path}: no answer from the API server: {error or f'{limit_s:g} s'}") from error
        metrics.API_REQUESTS.labels(method, answer.status).inc()
        if answer.status >= 400:
            raise _error(method, path, answer.status, data, answer.headers)
        try:
            return msgspec.json.decode(data, type=dict[str, Any])
        except msgspec.DecodeError as error:  # of a proxy on the way, perhaps
            said = data[:200].decode(errors="replace")
            raise ApiError(f"{method} {path}: the answer is no JSON object: {said}", answer.status) from error


def _path(kind: Kind, namespace: str | None, name: str = "") -> str:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    scope = "" if namespace is None else f"/namespaces/{namespace}"
    return f"{root}{scope}/{kind.plural}" + (f"/{name}" if name else "")


def _error(method: str, path: str, status: int, data: bytes, headers: Mapping[str, str]) -> ApiError:
    try:
        said = msgspec.json.decode(data)
        message, reason = str(said.get("message")), str(said.get("reason", ""))
    except (msgspec.DecodeError, AttributeError):
        message, reason = data[:200].decode(errors="replace"), ""
    kind = {404: NotFoundError, 409: ConflictError, 410: GoneError}.get(status, ApiError)
    asked = headers.get("Retry-After", "")
    return kind(f"{method} {path}: {status} {message}", status, reason, float(asked) if asked.isdigit() else None)
