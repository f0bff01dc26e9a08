"""The data directory: used by one copy at a time, and cleared of the servers of a killed copy."""

import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from marketstream.local.errors import DirectoryInUseError, DirectoryUnusableError

SERVER_PROGRAMS = frozenset({"java", "postgres", "initdb", "valkey-server"})
"""Names of the processes that may be ended: a shell or an editor in the directory is left alone."""

_CLEARING_LIMIT = 10.0
"""Seconds within which the processes of a killed copy must end after SIGKILL."""


class DataDirectory:
    """A directory that this process alone uses, from entering the context to leaving it.

    Entering takes the lock and ends the servers that a killed copy left running. The lock is the kernel's (flock), so
    the kernel releases it however its holder ends. The servers do not inherit the lock.

    Raises DirectoryInUseError if another copy holds the lock, DirectoryUnusableError if this user cannot write to the
    directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: int | None = None

    @property
    def endpoints_file(self) -> Path:
        """The file with the addresses of the running servers, for psql, redis-cli and other tools."""
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
        """Write endpoints.json atomically.

        Only this user can read the file, because the address of the database contains its password.
        """
        draft = self.endpoints_file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(endpoints, indent=2) + "\n", encoding="utf-8")
        draft.replace(self.endpoints_file)

    def _make(self) -> None:
        try:
            # Other users may pass through the directory, as PostgreSQL must if the program is root, but not read it.
            self.path.mkdir(mode=0o711, parents=True, exist_ok=True)
            foreign = [path for path in (self.path, *self.path.iterdir()) if not _is_ours(path)]
        except OSError as error:
            raise DirectoryUnusableError(
                f"Cannot use the data directory {self.path}: {error.strerror}. "
                "Choose a writable directory with --data DIR, or a temporary one with --ephemeral."
            ) from error
        if foreign:
            raise DirectoryUnusableError(
                f"{foreign[0]} belongs to another user (id {foreign[0].stat().st_uid}), probably from a run with sudo. "
                "Run as that user, change the owner with chown -R, or choose another directory with --data DIR."
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
                "Stop that copy, or choose another directory with --data DIR or --ephemeral."
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def _release(self) -> None:
        # The file is not removed: otherwise two copies could lock two different files of the same name.
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def end_leftovers(directory: Path) -> None:
    """End the servers of a killed copy with SIGKILL. The caller must hold the lock of the directory.

    All three servers survive SIGKILL without losing confirmed writes, so there is no need for a graceful stop.

    Raises DirectoryInUseError if a process does not end.
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
            f"The servers that a killed copy left in {directory} do not end (processes {pids}). "
            "End them with kill -9 as the user who runs them, or choose another directory with --data DIR."
        )


def server_processes(directory: Path) -> list[psutil.Process]:
    """Return the running servers of this data directory, found by their names, directories and arguments.

    No pid is stored, so a pid that the system has reused cannot lead to the wrong process.
    """
    return [process for process in psutil.process_iter() if _works_in(process, directory)]


def _works_in(process: psutil.Process, directory: Path) -> bool:
    try:
        if process.name() not in SERVER_PROGRAMS:
            return False
        # In a container, the working directory of another user's process may be hidden even from root. Arguments are
        # never hidden, and PostgreSQL, the only server that changes its user, has the directory among its arguments.
        places = process.cmdline()[1:]
        with suppress(psutil.AccessDenied):
            places.append(process.cwd())
    except psutil.Error:
        return False
    return any(Path(place).is_relative_to(directory) for place in places if place.startswith("/"))


def _is_ours(path: Path) -> bool:
    return os.geteuid() in (0, path.lstat().st_uid)
