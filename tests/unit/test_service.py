"""The shared parts of services: health, and works that run until a stop."""

import asyncio

import httpx
import pytest
from marketstream import service
from marketstream.service import Health, health_app, run_until, serving
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


async def test_a_service_is_ready_once_all_checks_pass() -> None:
    health, problem = Health(), "Kafka is not available yet"
    health.add("start", lambda: problem or None)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(health_app(health)), base_url="http://service"
    ) as client:
        unready = await client.get("/readyz")
        assert (unready.status_code, unready.text) == (503, "start: Kafka is not available yet\n")
        assert (await client.get("/healthz")).status_code == 200
        problem = ""
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.text) == (200, "ok\n")
        assert "python_info" in (await client.get("/metrics")).text


async def test_a_task_that_has_ended_makes_the_service_unready() -> None:
    health, work = Health(), Work()
    task = asyncio.create_task(work.run())
    health.watch("reader", task)
    assert health.problems() == {}
    work.release.set()
    await task
    assert health.problems() == {"reader": "the task reader has ended unexpectedly"}


async def test_an_app_is_served_on_a_free_port_inside_the_block() -> None:
    async with serving(health_app(Health()), "127.0.0.1", 0) as port, httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{port}/healthz")).text == "ok\n"
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{port}/healthz")


async def test_a_work_that_loses_a_cancellation_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As asyncio.wait_for may on Python 3.11."""
    monkeypatch.setattr(service, "CANCEL_AGAIN_S", 0.05)
    lost = 0

    async def lose_two() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1
                if lost > 2:
                    raise

    stop = asyncio.Event()
    asyncio.get_running_loop().call_soon(stop.set)
    async with asyncio.timeout(30):
        assert not await run_until(stop, lose_two())
    assert lost == 3


async def test_a_work_may_take_its_time_to_clean_up() -> None:
    cleaned = asyncio.Event()

    async def clean_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.2)
            cleaned.set()

    stop = asyncio.Event()
    asyncio.get_running_loop().call_soon(stop.set)
    assert not await run_until(stop, clean_up())
    assert cleaned.is_set()
