"""The work queue: which keys are to be looked at, and the workers that do so.

It is level-triggered: a key says only that something about it may have changed, so adding it twice is adding it once.
It holds every key at most once, and so is never longer than there are keys.
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
"""Seconds after which a key that failed is tried again: at first, and at most."""

CONFLICTS: Final = 3
"""Conflicts in a row that are nothing to speak of: what is written had changed since it was seen."""


@dataclass(slots=True)
class _Failing:
    delays: Iterator[float]
    times: int = 0


class WorkQueue(Generic[K]):
    """Keys to be worked on, first come, first served; used from one event loop, whose clock is its clock.

    A key is never given out while it is being worked on: added meanwhile, it comes again once that is done.
    """

    def __init__(
        self, *, first_s: float = FIRST_RETRY_S, most_s: float = MOST_RETRY_S, rng: Random | None = None
    ) -> None:
        self._first_s, self._most_s, self._rng = first_s, most_s, rng or Random()
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._due: set[K] = set()
        """Added, and not given out since."""
        self._taken: set[K] = set()
        self._timers: dict[K, tuple[float, asyncio.Handle]] = {}
        """The one timer of a key, and when it rings: uvloop's handles of short times do not tell."""
        self._failing: dict[K, _Failing] = {}
        self._held: set[K] = set()
        """Those that the API server asks to be left alone: only their timer makes them due."""

    def __len__(self) -> int:
        """How many keys are due, those that are still being worked on for an earlier reason among them."""
        return len(self._due)

    def add(self, key: K) -> None:
        """The key is due now, unless it is held: see `retry`."""
        if key in self._due or key in self._held:
            return
        self._due.add(key)
        if key not in self._taken:
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """The key is due after so many seconds, unless it is to be due earlier anyhow: a key has one timer."""
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
        """The key, which is being worked on, failed, and is due again after a while, longer with each failure in a row;
        says how many seconds. With `at_least_s` it is held: it is not due earlier, whatever is added meanwhile."""
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
        """How often it has failed since it last went well."""
        return self._failing[key].times if key in self._failing else 0

    def forget(self, key: K) -> None:
        """It went well: its next failure is its first."""
        self._failing.pop(key, None)

    async def get(self) -> K:
        """Takes the next key that is due, and waits for one. Whoever takes it says `done` afterwards."""
        key = await self._ready.get()
        self._due.discard(key)
        self._taken.add(key)
        return key

    def done(self, key: K) -> None:
        """It is worked on no more; if it was added meanwhile, it comes again."""
        self._taken.discard(key)
        if key in self._due:
            self._ready.put_nowait(key)

    def _ring(self, key: K) -> None:
        del self._timers[key]
        self._held.discard(key)
        self.add(key)


async def work(queue: WorkQueue[K], handle: Callable[[K], Awaitable[None]], workers: int, limit_s: float) -> None:
    """Gives every key of the queue to `handle`, `workers` of them at the same time, until it is cancelled.

    What fails, or takes more than `limit_s` seconds, is logged, counted and tried again later. A key whose work was
    cancelled is due again.
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
            log.warning("changes all the time", **_context(queue, key, again_s), error=str(error))
        return "conflict"
    except (ApiError, NotLeadingError) as error:
        asked_s = error.retry_after_s if isinstance(error, ApiError) else None
        again_s = queue.retry(key, asked_s or 0.0)
        log.warning("failed", **_context(queue, key, again_s), error=str(error))
        return "failed"
    except (Exception, asyncio.CancelledError) as error:
        if _is_being_cancelled():
            if not isinstance(error, asyncio.CancelledError):
                log.exception("failed while it was being cancelled", key=str(key))
            raise asyncio.CancelledError from error
        again_s = queue.retry(key)
        if limit.expired() and isinstance(error, TimeoutError):
            log.warning("took too long and was cancelled", **_context(queue, key, again_s), limit_s=limit_s)
            return "timed_out"
        log.exception("failed", **_context(queue, key, again_s))
        return "failed"
    queue.forget(key)
    return "ok"


def _is_being_cancelled() -> bool:
    """Whether somebody wants this task to end. Else a CancelledError came out of something that was awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _context(queue: WorkQueue[K], key: K, again_s: float) -> dict[str, object]:
    return {"key": str(key), "failures": queue.failures(key), "again_in_s": round(again_s, 1)}
