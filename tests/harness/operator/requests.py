"""The requests that a proxy records: client, method, path, body and the status of the answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Resource:
    """The resource that an API path names. `plural` is empty for a path without a resource, such as /version."""

    group: str = ""
    version: str = ""
    namespace: str = ""
    plural: str = ""
    name: str = ""
    subresource: str = ""

    @classmethod
    def of(cls, path: str) -> Self:
        """Return the resource of /api/v1/… or /apis/GROUP/VERSION/…."""
        root, *parts = path.strip("/").split("/")
        if root not in ("api", "apis"):
            return cls()
        group = parts.pop(0) if root == "apis" and parts else ""
        version = parts.pop(0) if parts else ""
        namespace = ""
        # /namespaces/NAME, and its subresources, name the namespace itself.
        if len(parts) > 2 and parts[0] == "namespaces" and parts[2] not in ("status", "finalize"):
            namespace, parts = parts[1], parts[2:]
        plural, name, subresource = (*parts, "", "", "")[:3]
        return cls(group, version, namespace, plural, name, subresource)


@dataclass(slots=True, eq=False)
class Request:
    """A request, received `at` (time.monotonic()). Its status is None until it is answered."""

    at: float
    method: str
    path: str
    query: Mapping[str, str]
    content_type: str
    user_agent: str
    body: bytes
    status: int | None = None
    by_fault: bool = False
    """True if a fault of the proxy has answered the request or dropped its answer."""

    @property
    def resource(self) -> Resource:
        """The resource that the path names."""
        return Resource.of(self.path)

    @property
    def watch(self) -> bool:
        """True for a watch, whose answer has no end."""
        return self.query.get("watch") in ("true", "1")

    @property
    def mutating(self) -> bool:
        """True for a request that may change something."""
        return self.method not in _READING

    @property
    def json(self) -> Any:
        """The body as JSON, None when it is empty. Unavailable for requests of kubectl, which sends protobuf."""
        return json.loads(self.body) if self.body else None

    def __str__(self) -> str:
        return f"{self.method} {self.path}{' (watch)' if self.watch else ''} -> {self.status or 'no answer'}"
