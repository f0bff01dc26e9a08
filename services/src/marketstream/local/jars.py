"""Kafka's jars: downloaded once per user, verified against the locked hashes, then used without the network."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from marketstream.local.errors import FetchError

if TYPE_CHECKING:
    from jgo.maven import MavenContext

_PARALLEL = 8
_ATTEMPTS = 3

Report = Callable[[str], None]
"""Receives the progress, a line at a time."""


@dataclass(frozen=True)
class Jar:
    """A locked jar. `sha256` is its hash in hexadecimal."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


async def class_path(report: Report) -> list[Path]:
    """Return the jars of Kafka in the user's cache, after downloading the missing ones.

    The cache is the folder `marketstream` in XDG_CACHE_HOME (default: ~/.cache). Raises FetchError.
    """
    locked = resources.files("marketstream.local").joinpath("kafka-jars.toml").read_bytes()
    jars = [Jar(**jar) for jar in tomllib.loads(locked.decode())["jars"]]
    # The name contains the hash of the lock file, so that versions of the program do not disturb each other's jars.
    folder = _cache() / f"kafka-{hashlib.sha256(locked).hexdigest()[:12]}"
    if any(not (folder / jar.file_name).exists() for jar in jars):
        cancelled = threading.Event()
        try:
            await asyncio.to_thread(_fetch_alone, jars, folder, report, cancelled)
        finally:
            cancelled.set()  # a thread cannot be cancelled; the event makes it end soon after the task is cancelled
    return [folder / jar.file_name for jar in jars]


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "marketstream"


def _fetch_alone(jars: list[Jar], folder: Path, report: Report, cancelled: threading.Event) -> None:
    """Download the missing jars in one process at a time; a second process waits and then finds all jars."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            while not _locked(lock.fileno()):
                if cancelled.wait(0.2):
                    return
            missing = [jar for jar in jars if not (folder / jar.file_name).exists()]
            if missing:
                _fetch(missing, folder, report, cancelled)
    except OSError as error:
        raise FetchError(
            f"Cannot write to the cache {folder}: {error.strerror or error}. Free some space or grant write access, "
            "choose another cache with XDG_CACHE_HOME, or set KAFKA_BOOTSTRAP to use an existing Kafka."
        ) from error


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _fetch(jars: list[Jar], folder: Path, report: Report, cancelled: threading.Event) -> None:
    from jgo.maven import MavenContext, PythonResolver

    repository = folder / "partial"  # a jar leaves this folder only once it is complete and its hash matches
    shutil.rmtree(repository, ignore_errors=True)
    with _progress(len(jars), report) as (received, finished):

        @contextmanager
        def downloading(_file: str, _size: int) -> Iterator[Callable[[int], None]]:
            def chunk(size: int) -> None:
                if cancelled.is_set():
                    raise FetchError("The download of Kafka was interrupted.")
                received(size)

            yield chunk

        context = MavenContext(resolver=PythonResolver(progress_callback=downloading), repo_cache=repository)

        def fetch(jar: Jar) -> None:
            if not cancelled.is_set():
                _fetch_one(context, jar, folder)
                finished()

        with ThreadPoolExecutor(_PARALLEL) as pool:
            try:
                list(pool.map(fetch, jars))
            except BaseException:
                cancelled.set()
                raise
    shutil.rmtree(repository, ignore_errors=True)


def _fetch_one(context: "MavenContext", jar: Jar, folder: Path) -> None:
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            path = artifact.resolve()
        except FetchError:
            raise
        except Exception as error:  # noqa: BLE001  requests, urllib3 and jgo have errors of their own
            # The next attempt would take the partial file for the complete jar.
            if artifact.cached_path is not None:
                artifact.cached_path.unlink(missing_ok=True)
            if attempt == _ATTEMPTS:
                _fail(jar, str(error))
            time.sleep(attempt)
        else:
            with path.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            if digest != jar.sha256:
                path.unlink()
                _fail(jar, f"its SHA-256 is {digest}, expected {jar.sha256}")
            path.replace(folder / jar.file_name)
            return


def _fail(jar: Jar, why: str) -> NoReturn:
    raise FetchError(
        f"Cannot download {jar.file_name}, a part of Apache Kafka: {why}. The first start needs the network: check it "
        "and HTTPS_PROXY, then start again (complete files are kept), or set KAFKA_BOOTSTRAP to use an existing Kafka."
    )


@contextmanager
def _progress(total: int, report: Report) -> Iterator[tuple[Callable[[int], None], Callable[[], None]]]:
    """Show the progress as a bar on a terminal, and as a line for each quarter elsewhere.

    Yields two callbacks: the first takes the number of received bytes, the second marks a jar as complete.
    """
    if not sys.stderr.isatty():
        with _progress_lines(total, report) as calls:
            yield calls
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns: list[Any] = [TextColumn("Downloading Apache Kafka"), BarColumn(), MofNCompleteColumn(), "files,"]
    columns += [TextColumn("{task.fields[megabytes]:.1f} MB")]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total, megabytes=0.0)
        lock, megabytes = threading.Lock(), 0.0

        def received(size: int) -> None:
            nonlocal megabytes
            with lock:
                megabytes += size / 1e6
                bar.update(task, megabytes=megabytes)

        yield received, lambda: bar.advance(task)


@contextmanager
def _progress_lines(total: int, report: Report) -> Iterator[tuple[Callable[[int], None], Callable[[], None]]]:
    lock, done = threading.Lock(), 0
    report(f"Downloading Apache Kafka ({total} files); later starts use the cache")

    def finished() -> None:
        nonlocal done
        with lock:
            done += 1
            if done * 4 // total > (done - 1) * 4 // total:
                report(f"Downloading Apache Kafka: {done} of {total} files")

    yield lambda _size: None, finished
