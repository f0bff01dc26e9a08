"""A client of the Kubernetes API: plain JSON objects, a time limit for every call, typed errors.

The client uses `kubernetes.aio` for logging in and for HTTP, but not its generated models: they would copy every object
and reject fields that they do not know.
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
"""Time limits of one call, in seconds. A write must end before another replica can take over a lost lease."""

WRITES: Final = 16
"""Maximum number of concurrent writes. More would queue in the API server until they time out."""

FORBIDDEN: Final = 403
"""HTTP status of a request that the operator's roles do not allow."""

CHUNK: Final = 250
"""Objects in one page of a list: 4,000 Deployments on one page would take 100 MB."""

_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"


class ApiError(Exception):
    """The API server rejected a request or did not answer in time. `status` is the HTTP status, 0 without an answer."""

    def __init__(self, message: str, status: int = 0, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
        """Seconds to wait before the next request, from the server's Retry-After header, or None if it is absent."""

    @property
    def is_refusal(self) -> bool:
        """True if the server rejected this particular request (4xx except 429): other requests may still succeed."""
        return 400 <= self.status < 500 and self.status != 429


class ConflictError(ApiError):
    """The object has changed since it was read, or already exists."""


class NotFoundError(ApiError):
    """The object or its kind does not exist."""


class GoneError(ApiError):
    """The API server no longer keeps this page of a list, or this version to watch from."""


class NotLeadingError(Exception):
    """A write was not sent, because this process does not hold the lease."""


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
        """Close all connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        """Return the object. Raises NotFoundError, ApiError."""
        return await self._call("GET", _path(kind, namespace, name))

    async def list(
        self, kind: Kind, namespace: str | None, selector: str = "", fields: str = ""
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the objects of `kind` that match the label selector and the field selector, reading page by page.

        A `namespace` of None lists all namespaces. Raises ApiError.
        """
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
        """Return True if the object exists with this uid. Raises ApiError.

        The object is listed, not read: the operator's role need not grant `get`.
        """
        found = [each["metadata"]["uid"] async for each in self.list(kind, namespace, fields=f"metadata.name={name}")]
        return uid in found

    async def knows(self, kind: Kind) -> bool:
        """Return True if discovery lists this kind. Raises ApiError.

        The group must be in the list of groups, too, because kopf reads that list, and the server may serve a new kind
        before the list names its group.
        """
        groups = await self._call("GET", "/apis")
        if kind.group not in (group["name"] for group in groups["groups"]):
            return False
        try:
            found = await self._call("GET", f"/apis/{kind.group}/{kind.version}")
        except NotFoundError:
            return False
        return any(resource["name"] == kind.plural for resource in found["resources"])

    async def apply(self, kind: Kind, namespace: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create or update the object by server-side apply, and return it.

        Fields that an earlier apply has set and `body` lacks are removed. Raises ConflictError when `body` carries a
        `resourceVersion` and the object has changed since; ApiError; NotLeadingError.
        """
        return await self._write(
            "PATCH", _path(kind, namespace, name), {"fieldManager": MANAGER, "force": "true"}, body, _APPLY
        )

    async def create(self, kind: Kind, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create the object. Raises ConflictError when it already exists, ApiError, NotLeadingError."""
        return await self._write("POST", _path(kind, namespace), {"fieldManager": MANAGER}, body)

    async def patch_status(
        self, kind: Kind, namespace: str, name: str, resource_version: str, status: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Replace the given fields of the status.

        Raises ConflictError when the object has another `resource_version`, ApiError, NotLeadingError.
        """
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        path = _path(kind, namespace, name) + "/status"
        return await self._write("PATCH", path, {"fieldManager": MANAGER}, body, _MERGE)

    async def merge(self, kind: Kind, namespace: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change the object by a JSON merge patch. Raises NotFoundError, ConflictError, ApiError, NotLeadingError."""
        return await self._write("PATCH", _path(kind, namespace, name), {"fieldManager": MANAGER}, body, _MERGE)

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str, version: int) -> None:
        """Delete the object with this uid and version, and its dependents in the background.

        Deleting an object that no longer exists is no error. Raises ConflictError when the object has changed, because
        it may have another owner now; ApiError; NotLeadingError.
        """
        body = {"propagationPolicy": "Background", "preconditions": {"uid": uid, "resourceVersion": str(version)}}
        with contextlib.suppress(NotFoundError):
            await self._write("DELETE", _path(kind, namespace, name), {}, body)

    async def write_lease(self, namespace: str, name: str, body: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        """Create the Lease, or replace it if the body carries a `resourceVersion`. Raises ConflictError, ApiError.

        `may_write` does not guard this write: a candidate must take the Lease before it may write anything else.
        """
        if "resourceVersion" in body["metadata"]:
            return await self._call("PUT", _path(LEASE, namespace, name), {}, body, limit_s=limit_s)
        return await self._call("POST", _path(LEASE, namespace), {}, body, limit_s=limit_s)

    async def _write(
        self, method: str, path: str, query: Mapping[str, str], body: Any, content_type: str = "application/json"
    ) -> dict[str, Any]:
        async with self._turns:
            if not self._may_write():
                raise NotLeadingError(f"{method} {path} was not sent: this process does not hold the lease")
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
            said = str(error) or f"timed out after {limit_s:g} s"
            raise ApiError(f"{method} {path}: no answer from the API server: {said}") from error
        metrics.API_REQUESTS.labels(method, answer.status).inc()
        if answer.status >= 400:
            raise _error(method, path, answer.status, data, answer.headers)
        try:
            return msgspec.json.decode(data, type=dict[str, Any])
        except msgspec.DecodeError as error:  # for example the login page of a proxy
            said = data[:200].decode(errors="replace")
            raise ApiError(f"{method} {path}: the answer is not a JSON object: {said}", answer.status) from error


def _path(kind: Kind, namespace: str | None, name: str = "") -> str:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    scope = "" if namespace is None else f"/namespaces/{namespace}"
    return f"{root}{scope}/{kind.plural}" + (f"/{name}" if name else "")


def _error(method: str, path: str, status: int, data: bytes, headers: Mapping[str, str]) -> ApiError:
    try:
        message = str(msgspec.json.decode(data).get("message"))
    except (msgspec.DecodeError, AttributeError):
        message = data[:200].decode(errors="replace")
    kind = {404: NotFoundError, 409: ConflictError, 410: GoneError}.get(status, ApiError)
    asked = headers.get("Retry-After", "")
    return kind(f"{method} {path}: {status} {message}", status, float(asked) if asked.isdigit() else None)
