import asyncio

import pytest
from marketstream.service import run_until
from structlog.testing import capture_logs


class Work:
    """A work that runs until it is released or cancelled."""

    def __init__(self, *, fails: Exception | None = None, fails_at_end: Exception | None = None) -> None:
        self.release = asyncio.Event()
        self.was_cancelled = False
        self._fails = fails
        self._fails_at_end = fails_at_end

    async def run(self) -> None:
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            if self._fails_at_end:
                raise self._fails_at_end from None
            raise
        if self._fails:
            raise self._fails


async def test_stop_cancels_all_works() -> None:
    stop, works = asyncio.Event(), [Work(), Work()]
    asyncio.get_running_loop().call_soon(stop.set)
    assert not await run_until(stop, *(work.run() for work in works))
    assert all(work.was_cancelled for work in works)


async def test_a_work_that_ends_cancels_the_others() -> None:
    ending, other = Work(), Work()
    ending.release.set()
    assert await run_until(asyncio.Event(), ending.run(), other.run())
    assert other.was_cancelled


async def test_the_error_of_a_work_is_raised_after_the_others_have_ended() -> None:
    failing, other = Work(fails=ValueError("broken")), Work()
    failing.release.set()
    with pytest.raises(ValueError, match="broken"):
        await run_until(asyncio.Event(), failing.run(), other.run())
    assert other.was_cancelled


async def test_an_error_counts_more_than_a_stop_at_the_same_moment() -> None:
    stop, failing = asyncio.Event(), Work(fails=ValueError("broken"))
    stop.set()
    failing.release.set()
    with pytest.raises(ValueError, match="broken"):
        await run_until(stop, failing.run())


async def test_errors_after_the_cancellation_are_only_logged() -> None:
    stop, work = asyncio.Event(), Work(fails_at_end=ValueError("late"))
    asyncio.get_running_loop().call_soon(stop.set)
    with capture_logs() as logs:
        assert not await run_until(stop, work.run())
    assert [(line["event"], line["error"]) for line in logs] == [
        ("task failed while being stopped", "ValueError('late')")
    ]


async def test_a_work_that_does_not_end_in_time_is_left_behind() -> None:
    stop, release = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    task = asyncio.create_task(stubborn())
    asyncio.get_running_loop().call_soon(stop.set)
    async with asyncio.timeout(5):
        assert not await run_until(stop, task, end_s=0.01)
    assert not task.done()
    release.set()
    await task


async def test_works_end_with_a_caller_that_is_cancelled() -> None:
    work = Work()
    caller = asyncio.create_task(run_until(asyncio.Event(), work.run()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    assert caller.cancelled()
    assert work.was_cancelled
