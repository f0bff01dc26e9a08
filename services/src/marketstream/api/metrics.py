"""Metrics of the API for Prometheus."""

import time
from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS: Final = Counter("marketstream_api_requests_total", "Requests answered", ("route", "method", "status"))
SECONDS: Final = Histogram(
    "marketstream_api_request_seconds",
    "Time from the head of a request to the end of its response, in seconds",
    ("route",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
CLIENTS: Final = Gauge("marketstream_api_websocket_clients", "Connected clients of /ws")
BEHIND: Final = Counter(
    "marketstream_api_websocket_behind_total", "Number of times that a client fell behind and missed messages"
)
STUCK: Final = Counter("marketstream_api_websocket_stuck_total", "Clients disconnected because they read nothing")

_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


class Measured:
    """Middleware that measures the requests of `app`. HEAD is answered like GET; the server omits the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        if method == "HEAD":
            scope = {**scope, "method": "GET"}
        status = 500  # the server's answer when the application fails before it has begun to respond

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        begun = time.perf_counter()
        try:
            await self._app(scope, receive, sending)
        finally:
            route = _route(scope)
            SECONDS.labels(route).observe(time.perf_counter() - begun)
            REQUESTS.labels(route, method if method in _METHODS else "other", status).inc()


def _route(scope: Scope) -> str:
    """Return the path of the route, not of the request: invented paths must not create new time series."""
    return getattr(scope.get("route"), "path", "unmatched")
