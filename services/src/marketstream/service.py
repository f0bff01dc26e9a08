"""Shared parts of every service: health checks, metrics and a graceful stop."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from marketstream.telemetry import logger

log = logger(__name__)

Check = Callable[[], str | None]
"""A health check. It returns None if all is well, otherwise a text that says what is wrong."""

Work = Coroutine[Any, Any, None] | asyncio.Future[None]
"""A coroutine, or a task that is running already."""

CANCEL_AGAIN_S = 5.0
"""Seconds after which a task that was cancelled and has not ended is cancelled again."""

STOP_LIMIT_S = 4
"""Seconds for which open HTTP connections may delay a stop."""


class Health:
    """The health checks of a service. The service is ready if all of them pass."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def add(self, name: str, check: Check) -> None:
        """Make readiness depend on the check."""
        self._checks[name] = check

    def watch(self, name: str, task: "asyncio.Task[Any]") -> None:
        """Make readiness depend on the task still running: a service whose reader has died must not look healthy."""
        self.add(name, lambda: f"the task {name} has ended unexpectedly" if task.done() else None)

    def problems(self) -> dict[str, str]:
        """Return the problems by the name of their check; none if the service is ready."""
        return {name: problem for name, check in self._checks.items() if (problem := check()) is not None}


def health_app(health: Health) -> Starlette:
    """Return an app with /healthz (the process responds), /readyz (all checks pass) and /metrics (for Prometheus)."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        problems = health.problems()
        lines = [f"{name}: {problem}\n" for name, problem in problems.items()]
        return PlainTextResponse("".join(lines) or "ok\n", status_code=503 if problems else 200)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Leave the signals to run_until_stopped."""
        yield


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, host: str, port: int, **options: Any) -> AsyncIterator[int]:
    """Serve `app` over HTTP inside the block, which receives the port: a free one if `port` is 0.

    `options` are passed to uvicorn. Raise OSError if the address is taken.
    """
    config = uvicorn.Config(
        app, host=host, port=port, log_config=None, access_log=False, lifespan="off",
        timeout_graceful_shutdown=STOP_LIMIT_S, server_header=False, **options,
    )  # fmt: skip
    with config.bind_socket() as listener:
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]), name="http")
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task


def run_until_stopped(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run `main` in a fast event loop. SIGTERM or Ctrl-C sets the event passed to `main`, which should then return."""

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        await main(stop)

    import uvloop

    uvloop.run(run())


async def run_until(stop: asyncio.Event, *works: Work, end_s: float | None = None) -> bool:
    """Run the works concurrently until `stop` is set or one of them ends, then cancel the others and wait for them.

    Return False if `stop` was set first and True if a work ended by itself. If that work raised an exception, raise it.
    Exceptions that works raise after they were cancelled are only logged. A work that takes longer than `end_s` seconds
    to end is abandoned; by default there is no such limit.
    """
    tasks = [asyncio.ensure_future(work) for work in works]
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        ended = [task for task in tasks if task.done()]
    finally:
        await _end([stopping, *tasks], end_s)
    for task in tasks:
        if task not in ended[:1] and task.done() and not task.cancelled() and (error := task.exception()):
            log.warning("task failed while being stopped", error=repr(error))
    for task in ended[:1]:
        task.result()
    return bool(ended)


async def _end(tasks: Sequence[asyncio.Future[Any]], end_s: float | None) -> None:
    """Cancel the tasks and wait until they have ended, or for `end_s` seconds.

    On Python 3.11 asyncio.wait_for, which libraries use, may lose a cancellation (python/cpython issue 86296). So it is
    repeated, but seldom enough for a task that takes its time to clean up.
    """
    pending = {task for task in tasks if not task.done()}
    deadline = None if end_s is None else time.monotonic() + end_s
    while pending:
        for task in pending:
            task.cancel()
        left_s = CANCEL_AGAIN_S if deadline is None else min(CANCEL_AGAIN_S, deadline - time.monotonic())
        if left_s <= 0:
            return
        _, pending = await asyncio.wait(pending, timeout=left_s)
