"""Kafka's jars: fetched once for each user, checked against the locked hashes, found again without the network."""

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


@dataclass(frozen=True)
class Jar:
    """A locked jar; sha256 is its hash in hexadecimal."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


async def class_path(report: Report) -> list[Path]:
    """The jars of Kafka in the user's cache; the missing ones are fetched, with progress.

    The cache is `marketstream` in XDG_CACHE_HOME, ~/.cache by default. Raises FetchError.
    """
    locked = resources.files("marketstream.local").joinpath("kafka-jars.toml").read_bytes()
    jars = [Jar(**jar) for jar in tomllib.loads(locked.decode())["jars"]]
    # The hash of the lock in the name: another version of the program never disturbs the jars of this one.
    folder = _cache() / f"kafka-{hashlib.sha256(locked).hexdigest()[:12]}"
    if any(not (folder / jar.file_name).exists() for jar in jars):
        cancelled = threading.Event()
        try:
            await asyncio.to_thread(_fetch_alone, jars, folder, report, cancelled)
        finally:
            cancelled.set()  # a thread cannot be cancelled; this lets it end soon when the task is
    return [folder / jar.file_name for jar in jars]


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "marketstream"


def _fetch_alone(jars: list[Jar], folder: Path, report: Report, cancelled: threading.Event) -> None:
    """Fetch what is missing, one process at a time; a second one waits and then finds it all there."""
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
            f"The cache {folder} cannot be written: {error.strerror or error}. Make room or give write permission, "
            "choose another place with XDG_CACHE_HOME, or give an existing Kafka in KAFKA_BOOTSTRAP."
        ) from error


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _fetch(jars: list[Jar], folder: Path, report: Report, cancelled: threading.Event) -> None:
    from jgo.maven import MavenContext, PythonResolver

    repository = folder / "partial"  # a jar leaves it only when it is whole and its hash is right
    shutil.rmtree(repository, ignore_errors=True)
    with _progress(len(jars), report) as (received, finished):

        @contextmanager
        def downloading(_file: str, _size: int) -> Iterator[Callable[[int], None]]:
            def chunk(size: int) -> None:
                if cancelled.is_set():
                    raise FetchError("The fetch of Kafka was interrupted.")
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
        except Exception as error:  # noqa: BLE001  requests, urllib3 and jgo each have their own errors
            # What has arrived would pass for the whole jar at the next attempt.
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
        f"Cannot fetch {jar.file_name}, a part of Apache Kafka: {why}. The first start needs the network: check it and "
        "HTTPS_PROXY, then start again (what has arrived is kept), or give an existing Kafka in KAFKA_BOOTSTRAP."
    )


@contextmanager
def _progress(total: int, report: Report) -> Iterator[tuple[Callable[[int], None], Callable[[], None]]]:
    """A bar on a terminal, a line for each quarter elsewhere: yields what to call with received bytes and per jar."""
    if not sys.stderr.isatty():
        with _progress_lines(total, report) as calls:
            yield calls
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns: list[Any] = [TextColumn("Fetching Apache Kafka"), BarColumn(), MofNCompleteColumn(), "files,"]
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
    report(f"Fetching Apache Kafka, {total} files; later starts find them in the cache")

    def finished() -> None:
        nonlocal done
        with lock:
            done += 1
            if done * 4 // total > (done - 1) * 4 // total:
                report(f"Fetching Apache Kafka: {done} of {total} files")

    yield lambda _size: None, finished
