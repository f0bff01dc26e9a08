"""The API as a process."""

import asyncio
import signal
import sys

from marketstream.settings import Settings

from tests.integration.api.serving import LIMIT_S


async def test_the_process_stops_cleanly(settings: Settings) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "marketstream", "api", env=settings.to_environment(), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(LIMIT_S):
        while b"API started" not in (line := await process.stderr.readline()):
            assert line, "the process ended"
        process.send_signal(signal.SIGTERM)
        assert b"Traceback" not in await process.stderr.read()
        assert await process.wait() == 0
