"""A service as a process that can be killed, and stopped and continued, at any instant."""

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
    """One service, started and ended any number of times; all its lives write to one log."""

    def __init__(self, name: str, arguments: Sequence[str], settings: Settings, log: Path) -> None:
        self.name = name
        self.log = log
        self._command = [sys.executable, "-m", *arguments]
        self._environment = dict(os.environ) | settings.to_environment()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begins a life."""
        assert self._process is None, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                wrapped(self._command, signal.SIGKILL, ()),  # it does not outlive the test
                cwd=PROJECT, env=self._environment, start_new_session=True, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    async def terminate(self) -> None:
        """The end in good order, unless it has hardly begun."""
        code = await asyncio.to_thread(self._end, signal.SIGTERM)
        assert code in (0, -signal.SIGTERM), f"{self.name} ended with code {code}:\n{self.log_tail()}"

    def suspend(self) -> None:
        """SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def assert_alive(self) -> None:
        """That it has not ended by itself, if it runs."""
        code = self._process.poll() if self._process is not None else None
        assert code is None, f"{self.name} has ended by itself with code {code}:\n{self.log_tail()}"

    def close(self) -> None:
        """Ends it in whatever state it is."""
        if self._process is not None:
            self.kill()

    def log_tail(self) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-60:])

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, f"{self.name} does not run"
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        assert process is not None, f"{self.name} does not run"
        process.send_signal(number)
        return process.wait(EXIT_LIMIT_S)
