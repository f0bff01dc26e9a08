"""A server as a child process: start it, wait until it answers, stop it or kill it."""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self

import psutil

from marketstream.local.directory import server_processes
from marketstream.local.errors import ServerStartError
from marketstream.local.launch import environment, run_to_end, wrapped
from marketstream.local.loopback import HOST, free_port

_POLL = 0.02  # seconds between two checks of a condition
_KILL_LIMIT = 5.0  # seconds within which the kernel must end a process after SIGKILL
_LOG_LIMIT = 8 * 1024 * 1024  # bytes of the log, and of the previous log that is kept
_TAIL_LINES = 20

_PORT_TRIES = 3
_PORT_TAKEN = "Address already in use"
"""Words of all three servers' logs when a port is taken."""


class ServerProcess(ABC):
    """One server of the data directory, on loopback. It keeps its port for the life of this object.

    The server runs in its own session, so that Ctrl-C reaches only the program, which then stops its servers in order.
    If the program is killed, the kernel signals the server to stop; without setpriv, the next start ends the server.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    start_limit: ClassVar[float] = 30.0

    def __init__(self, directory: Path) -> None:
        """Describe the server of the data directory. Nothing happens before start()."""
        self.home = directory / self.name
        self.log = directory / "log" / f"{self.name}.log"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._log_start = 0

    @property
    @abstractmethod
    def address(self) -> str:
        """The address for clients: host:port or a URL."""

    @abstractmethod
    async def prepare(self) -> None:
        """Create everything the command needs; most of it only at the first start."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Return the program and its arguments; it runs in `home`."""

    @abstractmethod
    async def answers(self) -> bool:
        """Return True if the server accepts clients now. An OSError means that it does not."""

    def privileges(self) -> Sequence[str]:
        """Return options of setpriv that change the user of the server; none by default."""
        return ()

    @property
    def pid(self) -> int | None:
        """The process id of the server while it is alive."""
        return self._process.pid if self._process is not None and self.alive else None

    @property
    def alive(self) -> bool:
        """True while the process exists, even if it is paused."""
        return self._process is not None and self._process.poll() is None

    @property
    def ended(self) -> bool:
        """True if the process ended unexpectedly: not by stop() or kill()."""
        return self._wanted and self._process is not None and self._process.poll() is not None

    @property
    def exit_code(self) -> int | None:
        """The exit code of a process that ended unexpectedly, negative for a signal."""
        return self._process.poll() if self._process is not None else None

    async def start(self) -> Self:
        """Start the server and wait until it answers.

        Raises ServerStartError, with the end of the log, if the server ends or does not answer within `start_limit`
        seconds.
        """
        if self.alive:
            return self
        self.log.parent.mkdir(mode=0o700, exist_ok=True)
        self.home.mkdir(mode=0o700, exist_ok=True)
        for tries_left in reversed(range(_PORT_TRIES)):
            await self.kill()  # children may have outlived a server that died
            await self.prepare()
            self._spawn()
            self._wanted = True
            try:
                await self._wait_ready()
                break
            except BaseException as error:
                await self.kill()
                if not tries_left or _PORT_TAKEN not in str(error):
                    raise
            self.choose_ports()  # another program took the port between the choice and the start
        return self

    def choose_ports(self) -> None:
        """Choose a new free port."""
        self.port = free_port()

    async def stop(self, limit: float = 4.0) -> None:
        """Stop the server gracefully, or kill it after `limit` seconds. Do nothing if the server is not running."""
        self._wanted = False
        if self._process is not None and self.alive:
            self._process.send_signal(self.stop_signal)
            for member in self.family():
                with suppress(psutil.NoSuchProcess):
                    member.resume()  # a paused process would not react to the signal
            await _until(lambda: not self.alive, limit)
        await self.kill()

    async def kill(self) -> None:
        """End the server and its children with SIGKILL, and wait until they have ended."""
        self._wanted = False
        if self._process is None:
            return
        family = self.family()
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        await _until(lambda: not self.alive and not any(_lives(member) for member in family), _KILL_LIMIT)
        self._process = None

    def family(self) -> list[psutil.Process]:
        """Return the server and its children, or the children that may have outlived a dead server."""
        if self._process is None or not self.alive:
            return server_processes(self.home)
        try:
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def log_tail(self) -> str:
        """Return the last lines that the server has logged since its start."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(self._log_start, self.log.stat().st_size - 16_384))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-_TAIL_LINES:])

    def bound_log(self) -> None:
        """Move the content of an overgrown log to `<name>.log.1`; the server continues in the emptied log."""
        try:
            if self.log.stat().st_size > _LOG_LIMIT:
                shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
                os.truncate(self.log, 0)  # the server has the log open for appending: its next line starts at 0
                self._log_start = 0
        except FileNotFoundError:
            pass

    async def run_tool(self, command: Sequence[str | Path], stdin: str = "") -> None:
        """Run a program that prepares the server, in the server's home and as the server's user.

        Raises ServerStartError, with the program's output, if the program fails.
        """
        await run_to_end(command, self.home, self.privileges(), stdin)

    def _spawn(self) -> None:
        self.bound_log()
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            # Popen instead of asyncio's subprocess: kill and alive are plain calls that work on any event loop, and no
            # watcher thread stands between the child and the parent whose death the kernel reports.
            self._process = subprocess.Popen(  # noqa: S603  the programs come from installed wheels
                wrapped(self.command(), self.stop_signal, self.privileges()),
                cwd=self.home,
                env=environment(),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    async def _wait_ready(self) -> None:
        deadline = time.monotonic() + self.start_limit
        while not await self._answers():
            if self.ended:
                problem = f"ended with exit code {self.exit_code} during its start"
            elif time.monotonic() > deadline:
                problem = f"did not answer on {HOST}:{self.port} within {self.start_limit:g} s"
            else:
                await asyncio.sleep(_POLL)
                continue
            raise ServerStartError(f"{self.name} {problem}. The end of {self.log}:\n{self.log_tail()}")

    async def _answers(self) -> bool:
        try:
            # Do not query the port of an ended server: another program may have taken it.
            return self.alive and await self.answers()
        except OSError:
            return False


async def _until(condition: Callable[[], bool], limit: float) -> bool:
    """Wait until the condition holds. Return False after `limit` seconds."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL)
    return True


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
