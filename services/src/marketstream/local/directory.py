"""The data directory: one copy at a time, and nothing left over from a killed one."""

import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from marketstream.local.errors import DirectoryInUseError, DirectoryUnusableError

# Only processes of these names are ever ended: a shell or an editor that stands in the directory is left alone.
SERVER_PROGRAMS = frozenset({"java", "postgres", "initdb", "valkey-server"})

# Seconds until the processes of a killed copy must be gone after SIGKILL.
_CLEARING_LIMIT = 10.0


class DataDirectory:
    """A directory that this process alone uses, from entering the context to leaving it.

    Entering takes the lock and ends the servers that a killed copy left running. The lock is the kernel's (flock), so
    it ends with its holder, however that ends; the servers do not inherit it.

    Raises DirectoryInUseError when another copy holds it, DirectoryUnusableError when this user may not write there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: int | None = None

    @property
    def endpoints_file(self) -> Path:
        """Where the addresses of the running servers stand, for psql, redis-cli and other tools."""
        return self.path / "endpoints.json"

    def __enter__(self) -> Self:
        self._make()
        self._take_lock()
        try:
            end_leftovers(self.path)
            self.endpoints_file.unlink(missing_ok=True)
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.endpoints_file.unlink(missing_ok=True)
        self._release()

    def write_endpoints(self, endpoints: dict[str, str]) -> None:
        """Write endpoints.json in one step, readable by this user only: the database's address has its password."""
        draft = self.endpoints_file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(endpoints, indent=2) + "\n", encoding="utf-8")
        draft.replace(self.endpoints_file)

    def _make(self) -> None:
        try:
            # Others may pass through it, as PostgreSQL must when the program is root, but read nothing in it.
            self.path.mkdir(mode=0o711, parents=True, exist_ok=True)
            foreign = [path for path in (self.path, *self.path.iterdir()) if not _is_ours(path)]
        except OSError as error:
            raise DirectoryUnusableError(
                f"The data directory {self.path} cannot be used: {error.strerror}. "
                "Choose one that you can write to with --data DIR, or none with --ephemeral."
            ) from error
        if foreign:
            raise DirectoryUnusableError(
                f"{foreign[0]} belongs to another user (id {foreign[0].stat().st_uid}), probably from a run with sudo. "
                "Run as that user, give it back with chown -R, or choose another directory with --data DIR."
            )

    def _take_lock(self) -> None:
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(lock, 32).decode().strip() or "unknown"
            os.close(lock)
            raise DirectoryInUseError(
                f"The data directory {self.path} is in use by another copy of MarketStream (process {holder}). "
                "Stop that one, or run this one elsewhere with --data DIR or --ephemeral."
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def _release(self) -> None:
        # The file stays: unlinking it would let two copies lock two files of the same name.
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def end_leftovers(directory: Path) -> None:
    """End the servers of a copy that was killed. Call it only with the directory's lock held.

    All three survive SIGKILL without losing what they had confirmed, so there is no use in asking them politely.

    Raises DirectoryInUseError when a process does not end.
    """
    leftovers = server_processes(directory)
    for process in leftovers:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            break
    _, alive = psutil.wait_procs(leftovers, timeout=_CLEARING_LIMIT)
    alive = [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    if alive:
        pids = ", ".join(str(process.pid) for process in alive)
        raise DirectoryInUseError(
            f"Servers that a killed copy left in {directory} do not end (processes {pids}). "
            "End them with kill -9 as the user who runs them, or choose another directory with --data DIR."
        )


def server_processes(directory: Path) -> list[psutil.Process]:
    """The running servers of this data directory, found by what they are and where they work.

    No pid is ever written down, so a number that the system has given to another process cannot mislead.
    """
    return [process for process in psutil.process_iter() if _works_in(process, directory)]


def _works_in(process: psutil.Process, directory: Path) -> bool:
    try:
        if process.name() not in SERVER_PROGRAMS:
            return False
        # The working directory of a process of another user may be hidden even from root (in a container);
        # its arguments never are, and PostgreSQL, the one server that changes its user, has the directory there.
        places = process.cmdline()[1:]
        with suppress(psutil.AccessDenied):
            places.append(process.cwd())
    except psutil.Error:
        return False
    return any(Path(place).is_relative_to(directory) for place in places if place.startswith("/"))


def _is_ours(path: Path) -> bool:
    return os.geteuid() in (0, path.lstat().st_uid)
