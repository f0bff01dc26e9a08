"""A service as a process that can be killed, stopped and continued at any instant."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from marketstream.local.launch import wrapped
from marketstream.settings import Settings

from tests.harness.needs import PROJECT

EXIT_LIMIT_S = 15


class Service:
    """A service that can be started and ended any number of times. All of its processes write to one log."""

    def __init__(self, name: str, arguments: Sequence[str], settings: Settings, log: Path) -> None:
        self.name = name
        self.log = log
        self._command = [sys.executable, "-m", *arguments]
        self._environment = dict(os.environ) | settings.to_environment()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start a process of the service."""
        assert self._process is None, f"{self.name} is already running"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                wrapped(self._command, signal.SIGKILL, ()),  # dies with the test
                cwd=PROJECT, env=self._environment, start_new_session=True, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        """End the process by SIGKILL."""
        self._end(signal.SIGKILL)

    async def terminate(self) -> None:
        """End the process by SIGTERM: gracefully, unless it has only just started."""
        code = await asyncio.to_thread(self._end, signal.SIGTERM)
        assert code in (0, -signal.SIGTERM), f"{self.name} exited with code {code}:\n{self.log_tail()}"

    def suspend(self) -> None:
        """Stop the process by SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Continue the process by SIGCONT."""
        self._signal(signal.SIGCONT)

    def assert_alive(self) -> None:
        """Assert that the process, if there is one, has not exited by itself."""
        code = self._process.poll() if self._process is not None else None
        assert code is None, f"{self.name} exited by itself with code {code}:\n{self.log_tail()}"

    def close(self) -> None:
        """Kill the process, if there is one."""
        if self._process is not None:
            self.kill()

    def log_tail(self) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-60:])

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, f"{self.name} is not running"
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        assert process is not None, f"{self.name} is not running"
        process.send_signal(number)
        return process.wait(EXIT_LIMIT_S)
