"""The faults that a proxy can inject into matching requests."""

import asyncio
import re
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.harness.operator.requests import Request

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@dataclass(frozen=True, slots=True)
class Match:
    """A filter of requests: by method, by a regular expression found in the path, and only watches or no watches."""

    method: str | None = None
    path: str = ""
    watch: bool | None = None

    def __call__(self, request: Request) -> bool:
        """Return True if the request matches."""
        return (
            self.method in (None, request.method)
            and self.watch in (None, request.watch)
            and re.search(self.path, request.path) is not None
        )


@dataclass(slots=True, eq=False)
class Fault:
    """A fault of matching requests, injected `count` times or until it is lifted, or within a `with` block."""

    match: Match
    count: int | None = None
    hits: int = 0
    lifted: asyncio.Event = field(default_factory=asyncio.Event)

    def takes(self, request: Request) -> bool:
        """Return True, and count the request, if the fault is injected into it."""
        if self.lifted.is_set() or not self.match(request):
            return False
        self.hits += 1
        if self.hits == self.count:
            self.lift()
        return True

    def lift(self) -> None:
        """Stop injecting the fault, and let the requests that it holds continue."""
        self.lifted.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lift()


class Freeze(Fault):
    """The request gets no answer, and an open watch no events, while the connection stays open."""


class Loss(Fault):
    """The server processes the request and its answer is lost, so the client cannot know the outcome."""


@dataclass(slots=True, eq=False)
class Delay(Fault):
    """The request reaches the server after a delay."""

    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Answer(Fault):
    """The request does not reach the server and is answered with a status."""

    status: int = 500
    reason: str | None = None
    retry_after: int | None = None


def status_object(code: int, reason: str | None = None, retry_after: int | None = None) -> dict[str, Any]:
    """Return the Status object of a request that a Kubernetes API rejects."""
    reason = reason or _REASONS.get(code, "")
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code}
    message = "too old resource version: 1 (2)" if reason == "Expired" else f"a test has asked for {code} {reason}"
    details = {} if retry_after is None else {"details": {"retryAfterSeconds": retry_after}}
    return {**status, "reason": reason, "message": message, **details}
