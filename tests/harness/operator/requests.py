"""What a proxy keeps of each request: enough to say who asked the API for what, and what came back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Resource:
    """What a path of the Kubernetes API names; `plural` is empty for a path that names no resource, as /version."""

    group: str = ""
    version: str = ""
    namespace: str = ""
    plural: str = ""
    name: str = ""
    subresource: str = ""

    @classmethod
    def of(cls, path: str) -> Self:
        """The resource of /api/v1/… or /apis/GROUP/VERSION/…"""
        root, *parts = path.strip("/").split("/")
        if root not in ("api", "apis"):
            return cls()
        group = parts.pop(0) if root == "apis" and parts else ""
        version = parts.pop(0) if parts else ""
        namespace = ""
        # /namespaces/NAME alone, and its subresources, are the namespace itself.
        if len(parts) > 2 and parts[0] == "namespaces" and parts[2] not in ("status", "finalize"):
            namespace, parts = parts[1], parts[2:]
        plural, name, subresource = (*parts, "", "", "")[:3]
        return cls(group, version, namespace, plural, name, subresource)


@dataclass(slots=True, eq=False)
class Request:
    """One request; `at` is of time.monotonic(). Without a status it has not been answered (yet)."""

    at: float
    method: str
    path: str
    query: Mapping[str, str]
    content_type: str
    user_agent: str
    body: bytes
    status: int | None = None
    by_fault: bool = False
    """Whether the proxy has answered it, or taken its answer away, and not the server."""

    @property
    def resource(self) -> Resource:
        """What the path names."""
        return Resource.of(self.path)

    @property
    def watch(self) -> bool:
        """Whether it is a watch, whose answer goes on."""
        return self.query.get("watch") in ("true", "1")

    @property
    def mutating(self) -> bool:
        """Whether it may change something."""
        return self.method not in _READING

    @property
    def json(self) -> Any:
        """The body, None when there is none; not for kubectl, which sends protobuf."""
        return json.loads(self.body) if self.body else None

    def __str__(self) -> str:
        return f"{self.method} {self.path}{' (watch)' if self.watch else ''} -> {self.status or 'no answer'}"
