"""The work queue, in virtual time."""

import asyncio
import contextlib
import itertools
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from marketstream_operator import metrics
from marketstream_operator.kube.api import ApiError, NotLeadingError
from marketstream_operator.kube.workqueue import WorkQueue, work

from tests.harness.samples import sample
from tests.unit.virtual import virtually

Handle = Callable[[str], Awaitable[None]]
LIMIT_S = 30.0


def now() -> float:
    return asyncio.get_running_loop().time()


def handled(outcome: str) -> float:
    return sample(metrics.RECONCILES, outcome=outcome)


@contextlib.asynccontextmanager
async def working(queue: WorkQueue[str], handle: Handle, workers: int = 2) -> AsyncIterator[None]:
    """Run workers within this context."""
    task = asyncio.create_task(work(queue, handle, workers, LIMIT_S))
    try:
        yield
        assert not task.done(), "the workers have ended"
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def test_what_is_added_twice_comes_once() -> None:
    queue = WorkQueue[str]()
    queue.add("a")
    queue.add("b")
    queue.add("a")
    assert len(queue) == 2
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


def test_what_is_due_at_once_is_due_in_the_fast_event_loop_too() -> None:
    """uvloop returns handles that are no timers for a delay of zero."""

    async def due_twice_at_once() -> str:
        queue = WorkQueue[str]()
        queue.add_after("a", 0)
        queue.add_after("a", 0)
        async with asyncio.timeout(5):
            return await queue.get()

    assert uvloop.run(due_twice_at_once()) == "a"


async def test_what_is_added_while_it_is_worked_on_comes_once_more_after_that() -> None:
    queue = WorkQueue[str]()
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert len(queue) == 2
    assert await queue.get() == "b"
    queue.done("b")
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_who_waits_in_vain_takes_nothing_away() -> None:
    queue = WorkQueue[str]()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    waiting.cancel()
    await asyncio.wait([waiting])
    assert await queue.get() == "a"


@virtually
async def test_of_two_times_the_earlier_wins() -> None:
    queue = WorkQueue[str]()
    queue.add_after("a", 10)
    queue.add_after("a", 5)
    queue.add_after("a", 7)
    assert await queue.get() == "a"
    assert now() == pytest.approx(5)
    queue.done("a")
    await asyncio.sleep(20)
    assert len(queue) == 0


@virtually
async def test_each_failure_in_a_row_waits_longer_up_to_a_most_and_success_begins_anew() -> None:
    queue = WorkQueue[str](first_s=1, most_s=60, rng=Random(5))
    waits = [queue.retry("a") for _ in range(10)]
    for wait, most in zip(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60], strict=True):
        assert most / 2 <= wait <= most
    assert queue.failures("a") == 10
    assert queue.retry("b") <= 1, "the failures of one key are not another's"
    queue.forget("a")
    assert queue.failures("a") == 0
    assert queue.retry("a") <= 1


@virtually
async def test_a_key_that_is_to_be_left_alone_is_not_due_earlier_whatever_happens() -> None:
    queue = WorkQueue[str]()
    queue.add("a")
    await queue.get()
    queue.add_after("a", 1)
    queue.add("a")
    queue.retry("a", at_least_s=7)
    queue.done("a")
    queue.add("a")
    queue.add_after("a", 2)
    assert len(queue) == 0
    assert await queue.get() == "a"
    assert now() == pytest.approx(7)
    queue.add("a")
    queue.done("a")
    assert await queue.get() == "a", "that time is over"
    assert now() == pytest.approx(7)


@virtually
async def test_workers_retry_what_fails_and_leave_the_server_alone_for_as_long_as_it_asks() -> None:
    queue, starts = WorkQueue[str](first_s=1), []
    errors = [ApiError("429 slow down", 429, retry_after_s=7), ApiError("500"), NotLeadingError("no"), KeyError("bug")]

    async def handle(key: str) -> None:
        starts.append(now())
        if errors:
            raise errors.pop(0)

    failed, ok = handled("failed"), handled("ok")
    async with working(queue, handle):
        queue.add("a")
        await asyncio.sleep(100)
    assert starts[0] == 0
    assert starts[1] == pytest.approx(7)
    assert [later - earlier for earlier, later in itertools.pairwise(starts[1:])] == [
        pytest.approx(0.75 * most, rel=1 / 3) for most in (2, 4, 8)
    ]
    assert (handled("failed") - failed, handled("ok") - ok) == (4, 1)
    assert queue.failures("a") == 0


@virtually
async def test_work_that_is_stuck_is_cancelled_and_tried_again_while_others_go_on() -> None:
    queue, starts = WorkQueue[str](), defaultdict[str, list[float]](list)

    async def handle(key: str) -> None:
        starts[key].append(now())
        if key == "stuck" and len(starts[key]) == 1:
            await asyncio.Event().wait()

    timed_out = handled("timed_out")
    async with working(queue, handle):
        queue.add("stuck")
        queue.add("other")
        await asyncio.sleep(LIMIT_S - 1)
        queue.add("other")
        await asyncio.sleep(10)
    assert starts["other"] == [0, LIMIT_S - 1]
    assert starts["stuck"] == [0, pytest.approx(LIMIT_S + 0.5, abs=0.5)]
    assert handled("timed_out") - timed_out == 1


@virtually
async def test_a_cancellation_from_within_is_a_failure_and_ends_no_worker() -> None:
    queue, calls = WorkQueue[str](), 0

    async def handle(key: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise asyncio.CancelledError

    async with working(queue, handle, workers=1):
        queue.add("a")
        await asyncio.sleep(10)
    assert calls == 2


@virtually
async def test_workers_that_are_stopped_end_at_once_and_leave_their_keys_in_the_queue() -> None:
    queue = WorkQueue[str]()

    async def handle(key: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            if key == "b":
                raise RuntimeError("on its way out")

    async with working(queue, handle):
        for key in "abc":
            queue.add(key)
        await asyncio.sleep(1)
    assert now() == pytest.approx(1)
    assert {await queue.get() for _ in range(len(queue))} == {"a", "b", "c"}


KEYS = st.sampled_from("abc")
SECONDS = st.floats(0, 20).map(lambda seconds: round(seconds, 2))
CALLS = st.lists(st.tuples(SECONDS, KEYS, st.none() | SECONDS), min_size=1, max_size=30)
"""Calls: their time, the key, and the delay after which it is due (None: now)."""
RUNS = st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=30)
"""Duration and failure of each handling; later ones take no time and succeed."""


@given(CALLS, RUNS, st.integers(1, 3), st.none() | SECONDS)
def test_no_key_is_lost_none_is_worked_on_twice_at_once_and_none_comes_for_no_reason(
    calls: list[tuple[float, str, float | None]],
    runs: list[tuple[float, bool]],
    workers: int,
    restart_s: float | None,
) -> None:
    @virtually
    async def scenario() -> None:
        queue = WorkQueue[str](first_s=0.5, most_s=4, rng=Random(1))
        at_work: set[str] = set()
        steps = itertools.count()
        last_call, last_start, ends_well = dict[str, int](), dict[str, int](), dict[str, bool]()
        starts, reasons = Counter[str](), Counter[str]()
        left = iter(runs)

        async def handle(key: str) -> None:
            assert key not in at_work
            assert len(at_work) < workers
            at_work.add(key)
            starts[key] += 1
            last_start[key] = next(steps)
            ends_well[key] = False
            try:
                seconds, fails = next(left, (0.0, False))
                await asyncio.sleep(seconds)
                if fails:
                    raise ApiError("refused")
                ends_well[key] = True
            finally:
                if not ends_well[key]:
                    reasons[key] += 1
                at_work.discard(key)

        def call(key: str, after: float | None) -> None:
            reasons[key] += 1
            last_call[key] = next(steps)
            if after is None:
                queue.add(key)
            else:
                queue.add_after(key, after)

        loop = asyncio.get_running_loop()
        for when, key, after in calls:
            loop.call_at(when, call, key, after)
        async with working(queue, handle, workers):
            await asyncio.sleep(1_000 if restart_s is None else restart_s)
        async with working(queue, handle, workers):
            await asyncio.sleep(1_000)
        assert not queue
        assert not at_work
        for key in last_call:
            assert last_start[key] > last_call[key], "added, and never handled after that"
            assert ends_well[key]
            assert starts[key] <= reasons[key]
            assert queue.failures(key) == 0

    scenario()
