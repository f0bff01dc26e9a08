"""What a proxy can be told to do to the requests that match."""

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
    """Which requests: of a method, of a path in which the expression is found, only watches or none of them."""

    method: str | None = None
    path: str = ""
    watch: bool | None = None

    def __call__(self, request: Request) -> bool:
        """Whether the request is one of them."""
        return (
            self.method in (None, request.method)
            and self.watch in (None, request.watch)
            and re.search(self.path, request.path) is not None
        )


@dataclass(slots=True, eq=False)
class Fault:
    """What happens to matching requests: `count` times, or until it is lifted; as a context, until its end."""

    match: Match
    count: int | None = None
    hits: int = 0
    lifted: asyncio.Event = field(default_factory=asyncio.Event)

    def takes(self, request: Request) -> bool:
        """Whether it happens to this request; counts it."""
        if self.lifted.is_set() or not self.match(request):
            return False
        self.hits += 1
        if self.hits == self.count:
            self.lift()
        return True

    def lift(self) -> None:
        """No more of it; what it holds goes on."""
        self.lifted.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lift()


class Freeze(Fault):
    """The request gets no answer, and a watch that is open no events, while the connection stays."""


class Loss(Fault):
    """The server does what was asked, and the answer is lost: the client cannot know."""


@dataclass(slots=True, eq=False)
class Delay(Fault):
    """The request reaches the server later."""

    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Answer(Fault):
    """The request does not reach the server; this status answers it."""

    status: int = 500
    reason: str | None = None
    retry_after: int | None = None


def status_object(code: int, reason: str | None = None, retry_after: int | None = None) -> dict[str, Any]:
    """The Status with which a Kubernetes API refuses."""
    reason = reason or _REASONS.get(code, "")
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code}
    message = "too old resource version: 1 (2)" if reason == "Expired" else f"a test has asked for {code} {reason}"
    details = {} if retry_after is None else {"details": {"retryAfterSeconds": retry_after}}
    return {**status, "reason": reason, "message": message, **details}
