"""A server as a child process: start, wait until it answers, stop, and the rough handling that fault tests need."""

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

_POLL = 0.02  # seconds between two looks at a condition
_KILL_LIMIT = 5.0  # seconds for the kernel to end a process after SIGKILL
_LOG_LIMIT = 8 * 1024 * 1024  # bytes, twice: the log and the one before it
_TAIL_LINES = 20


_PORT_TRIES = 3
_PORT_TAKEN = "Address already in use"
"""How all three servers say so in their logs."""


class ServerProcess(ABC):
    """One server of the data directory, on loopback, with a port that it keeps as long as this object lives.

    It runs in its own session, so Ctrl-C reaches only the program, which stops its servers in order. It is told by
    the kernel to stop when the program is killed (where setpriv exists; what is left is ended at the next start).
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    start_limit: ClassVar[float] = 30.0

    def __init__(self, directory: Path) -> None:
        """Describe the server of the data directory; nothing is touched before start()."""
        self.home = directory / self.name
        self.log = directory / "log" / f"{self.name}.log"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._log_start = 0

    @property
    @abstractmethod
    def address(self) -> str:
        """What a client is configured with: host:port or a URL."""

    @abstractmethod
    async def prepare(self) -> None:
        """Make what the command needs; most of it only at the first start."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """The program and its arguments; it runs in `home`."""

    @abstractmethod
    async def answers(self) -> bool:
        """Whether the server serves clients now; OSError means no."""

    def privileges(self) -> Sequence[str]:
        """Options of setpriv that change who the server runs as; none by default."""
        return ()

    @property
    def pid(self) -> int | None:
        """The server's process id while it lives."""
        return self._process.pid if self._process is not None and self.alive else None

    @property
    def alive(self) -> bool:
        """Whether the process exists; a paused one does."""
        return self._process is not None and self._process.poll() is None

    @property
    def ended(self) -> bool:
        """Whether the process has ended although nobody asked: stop() and kill() leave this False."""
        return self._wanted and self._process is not None and self._process.poll() is not None

    @property
    def exit_code(self) -> int | None:
        """The code it ended with by itself, negative for a signal."""
        return self._process.poll() if self._process is not None else None

    async def start(self) -> Self:
        """Start and wait until the server answers.

        Raises ServerStartError, with the end of the log, when it ends or does not answer within `start_limit` seconds.
        """
        if self.alive:
            return self
        self.log.parent.mkdir(mode=0o700, exist_ok=True)
        self.home.mkdir(mode=0o700, exist_ok=True)
        for tries_left in reversed(range(_PORT_TRIES)):
            await self.kill()  # children that outlived a server which died by itself
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
            self.choose_ports()  # somebody was faster between the look for a free one and the start
        return self

    def choose_ports(self) -> None:
        """Takes other ports, free ones."""
        self.port = free_port()

    async def stop(self, limit: float = 4.0) -> None:
        """Stop in order; kill after `limit` seconds. Does nothing when the server does not run."""
        self._wanted = False
        if self._process is not None and self.alive:
            self._process.send_signal(self.stop_signal)
            self.resume()
            await _until(lambda: not self.alive, limit)
        await self.kill()

    async def kill(self) -> None:
        """End the server and its children with SIGKILL; returns when they are gone."""
        self._wanted = False
        if self._process is None:
            return
        family = self._family()
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        await _until(lambda: not self.alive and not any(_lives(member) for member in family), _KILL_LIMIT)
        self._process = None

    async def restart(self) -> None:
        """Stop in order and start again on the same port with the same data."""
        await self.stop()
        await self.start()

    def pause(self) -> None:
        """Halt the server and its children (SIGSTOP), as a machine that hangs would."""
        for member in self._family():
            with suppress(psutil.NoSuchProcess):
                member.suspend()

    def resume(self) -> None:
        """Let a paused server go on."""
        for member in self._family():
            with suppress(psutil.NoSuchProcess):
                member.resume()

    def log_tail(self) -> str:
        """The last lines that the server has logged since its start."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(self._log_start, self.log.stat().st_size - 16_384))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-_TAIL_LINES:])

    def bound_log(self) -> None:
        """Move a log that has grown too large to `<name>.log.1`; the server goes on writing at the new beginning."""
        try:
            if self.log.stat().st_size > _LOG_LIMIT:
                shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
                os.truncate(self.log, 0)  # the server has it open for appending: its next line starts the file anew
                self._log_start = 0
        except FileNotFoundError:
            pass

    async def run_tool(self, command: Sequence[str | Path], stdin: str = "") -> None:
        """Run a program that prepares the server, in its home and as the user that the server runs as.

        Raises ServerStartError with the program's output when it fails.
        """
        await run_to_end(command, self.home, self.privileges(), stdin)

    def _spawn(self) -> None:
        self.bound_log()
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            # Popen instead of asyncio's subprocess: kill, pause and alive are then plain calls that work on any event
            # loop, and no watcher thread stands between the child and the parent whose death the kernel reports.
            self._process = subprocess.Popen(  # noqa: S603  the programs are those of the installed wheels
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
                what = f"ended with code {self.exit_code} while starting"
            elif time.monotonic() > deadline:
                what = f"did not answer on {HOST}:{self.port} within {self.start_limit:g} s"
            else:
                await asyncio.sleep(_POLL)
                continue
            raise ServerStartError(f"{self.name} {what}. The end of {self.log}:\n{self.log_tail()}")

    async def _answers(self) -> bool:
        try:
            # A server that has ended does not answer: another program may have taken its port.
            return self.alive and await self.answers()
        except OSError:
            return False

    def _family(self) -> list[psutil.Process]:
        """The server and its children; when it has died by itself, what may be left of its children."""
        if self._process is None or not self.alive:
            return server_processes(self.home)
        try:
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


async def _until(condition: Callable[[], bool], limit: float) -> bool:
    """Wait until the condition holds; False after `limit` seconds."""
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
