"""The periodic probe of a store, which no error may end."""

import asyncio

from marketstream.api.stores import Watch
from structlog.testing import capture_logs


async def test_an_unexpected_error_is_logged_and_the_watch_continues() -> None:
    asked, answered = 0, asyncio.Event()

    async def probe() -> None:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise ValueError("a bug")
        answered.set()

    watch = Watch("postgresql", probe)
    with capture_logs() as lines:
        task = asyncio.create_task(watch.run())
        async with asyncio.timeout(5):
            await answered.wait()
            await asyncio.sleep(0.01)
    assert watch.problem() is None
    assert not task.done()
    task.cancel()
    assert [(line["event"], line.get("error")) for line in lines] == [
        ("store unavailable", "ValueError: a bug"),
        ("store available", None),
    ]
    assert isinstance(lines[0]["exc_info"], ValueError)  # with its traceback
