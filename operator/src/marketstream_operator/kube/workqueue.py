"""The work queue: keys that are due, and the workers that handle them.

The queue is level-triggered: a key in it means only that something about the key may have changed. So adding a key
twice has the same effect as adding it once, and the queue is never longer than the number of keys.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final, Generic, TypeVar

from marketstream.backoff import delays
from marketstream.telemetry import logger

from marketstream_operator import metrics
from marketstream_operator.kube.api import ApiError, ConflictError, NotLeadingError

log = logger(__name__)

K = TypeVar("K", bound=Hashable)

FIRST_RETRY_S: Final = 0.5
MOST_RETRY_S: Final = 60.0
"""Seconds before a failed key is retried. The delay grows from FIRST_RETRY_S to at most MOST_RETRY_S."""

CONFLICTS: Final = 3
"""Consecutive conflicts that are not logged: an object often changes between being observed and being written."""


@dataclass(slots=True)
class _Failing:
    delays: Iterator[float]
    times: int = 0


class WorkQueue(Generic[K]):
    """A queue of keys, first in, first out. It belongs to one event loop and uses the clock of that loop.

    A key is never handed out while a worker still handles it. If it is added meanwhile, it is due again afterwards.
    """

    def __init__(
        self, *, first_s: float = FIRST_RETRY_S, most_s: float = MOST_RETRY_S, rng: Random | None = None
    ) -> None:
        self._first_s, self._most_s, self._rng = first_s, most_s, rng or Random()
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._due: set[K] = set()
        """Keys that were added and not handed out since."""
        self._taken: set[K] = set()
        """Keys that a worker handles now."""
        self._timers: dict[K, tuple[float, asyncio.Handle]] = {}
        """The only timer of each key, with its due time: uvloop's handles for short delays have no `when()`."""
        self._failing: dict[K, _Failing] = {}
        self._held: set[K] = set()
        """Keys whose retry the API server has delayed: only their timer makes them due."""

    def __len__(self) -> int:
        """Return the number of due keys, including those that a worker still handles for an earlier reason."""
        return len(self._due)

    def add(self, key: K) -> None:
        """Make the key due now, unless it is held: see `retry`."""
        if key in self._due or key in self._held:
            return
        self._due.add(key)
        if key not in self._taken:
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Make the key due after `seconds`, unless it is held or its timer is set for an earlier time already."""
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        if key in self._held:
            return
        if key in self._timers:
            before, timer = self._timers[key]
            if before <= when:
                return
            timer.cancel()
        self._timers[key] = when, loop.call_at(when, self._ring, key)

    def retry(self, key: K, at_least_s: float = 0.0) -> float:
        """Retry a failed key later, with a delay that grows with each consecutive failure. Return the delay in seconds.

        The key must be one that a worker handles now. With `at_least_s`, the key is held: it is not due before its
        delay has passed, even if it is added meanwhile.
        """
        failing = self._failing.get(key)
        if failing is None:
            failing = self._failing[key] = _Failing(delays(self._first_s, self._most_s, self._rng))
        failing.times += 1
        seconds = max(at_least_s, next(failing.delays))
        if at_least_s:
            self._due.discard(key)
            if key in self._timers:
                self._timers.pop(key)[1].cancel()
        self.add_after(key, seconds)
        if at_least_s:
            self._held.add(key)
        return seconds

    def failures(self, key: K) -> int:
        """Return the number of consecutive failures of the key."""
        return self._failing[key].times if key in self._failing else 0

    def forget(self, key: K) -> None:
        """Reset the failures of a key that was handled successfully."""
        self._failing.pop(key, None)

    async def get(self) -> K:
        """Wait for the next due key and take it. The caller must call `done` afterwards."""
        key = await self._ready.get()
        self._due.discard(key)
        self._taken.add(key)
        return key

    def done(self, key: K) -> None:
        """Mark the key as handled. If it was added meanwhile, it is handed out again."""
        self._taken.discard(key)
        if key in self._due:
            self._ready.put_nowait(key)

    def _ring(self, key: K) -> None:
        del self._timers[key]
        self._held.discard(key)
        self.add(key)


async def work(queue: WorkQueue[K], handle: Callable[[K], Awaitable[None]], workers: int, limit_s: float) -> None:
    """Call `handle` for every due key, with up to `workers` calls at the same time, until cancelled.

    A call that fails, or takes longer than `limit_s` seconds, is logged, counted and retried later. A key whose worker
    was cancelled is due again.
    """
    async with asyncio.TaskGroup() as group:
        for number in range(workers):
            group.create_task(_worker(queue, handle, limit_s), name=f"worker-{number}")


async def _worker(queue: WorkQueue[K], handle: Callable[[K], Awaitable[None]], limit_s: float) -> None:
    while True:
        key = await queue.get()
        started = time.perf_counter()
        try:
            outcome = await _handle(queue, key, handle, limit_s)
        except BaseException:
            queue.add(key)
            raise
        finally:
            queue.done(key)
        metrics.RECONCILES.labels(outcome).inc()
        metrics.RECONCILE_SECONDS.observe(time.perf_counter() - started)


async def _handle(queue: WorkQueue[K], key: K, handle: Callable[[K], Awaitable[None]], limit_s: float) -> str:
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            await handle(key)
    except ConflictError as error:
        again_s = queue.retry(key)
        if queue.failures(key) > CONFLICTS:
            log.warning("reconcile keeps conflicting, will retry", **_context(queue, key, again_s), error=str(error))
        return "conflict"
    except (ApiError, NotLeadingError) as error:
        asked_s = error.retry_after_s if isinstance(error, ApiError) else None
        again_s = queue.retry(key, asked_s or 0.0)
        log.warning("reconcile failed, will retry", **_context(queue, key, again_s), error=str(error))
        return "failed"
    except (Exception, asyncio.CancelledError) as error:
        if _is_being_cancelled():
            if not isinstance(error, asyncio.CancelledError):
                log.exception("reconcile failed while being cancelled", key=str(key))
            raise asyncio.CancelledError from error
        again_s = queue.retry(key)
        if limit.expired() and isinstance(error, TimeoutError):
            log.warning("reconcile timed out, will retry", **_context(queue, key, again_s), limit_s=limit_s)
            return "timed_out"
        log.exception("reconcile failed unexpectedly, will retry", **_context(queue, key, again_s))
        return "failed"
    queue.forget(key)
    return "ok"


def _is_being_cancelled() -> bool:
    """Return True if this task is being cancelled. Otherwise a CancelledError came from an awaited task."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _context(queue: WorkQueue[K], key: K, again_s: float) -> dict[str, object]:
    return {"key": str(key), "failures": queue.failures(key), "again_in_s": round(again_s, 1)}
