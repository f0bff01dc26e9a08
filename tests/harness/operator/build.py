"""Builds of control plane programs from Go modules into the user's cache, which take minutes, once."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

Report = Callable[[str], None]

LIMIT = 30 * 60.0
"""Time limit of a build in seconds, including the wait for another build. Two cores usually take five minutes."""

_MODULES = Path(__file__).parent / "go"
_PACKAGES = {"etcd": "."}  # the others are k8s.io/kubernetes/cmd/<program>
_REPORT_EVERY = 15.0
_TAIL_LINES = 20


class BuildError(Exception):
    """A program could not be built. The message shows the end of Go's output."""


def version() -> str:
    """Return the version of Kubernetes that go.mod requires, without the v."""
    text = (_MODULES / "kubernetes" / "go.mod").read_text("utf-8")
    found = re.search(r"^require k8s\.io/kubernetes v(\S+)", text, re.MULTILINE)
    assert found is not None, "go.mod requires no k8s.io/kubernetes"
    return found[1]


def folder() -> Path:
    """Return the folder of built programs, below XDG_CACHE_HOME or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "marketstream" / f"kubernetes-{version()}" / "bin"


def build(programs: Sequence[str], report: Report) -> None:
    """Build the programs that the cache lacks. Only one process builds at a time; others wait. Raises BuildError."""
    deadline = time.monotonic() + LIMIT
    bin_folder = folder()
    try:
        bin_folder.mkdir(parents=True, exist_ok=True)
        with _alone(bin_folder.parent / "lock", deadline, report):
            for program in programs:
                if not (bin_folder / program).exists():
                    _build(program, bin_folder, deadline, report)
    except OSError as error:
        raise BuildError(f"Kubernetes {version()} cannot be built into {bin_folder}: {error}") from error


@contextmanager
def _alone(path: Path, deadline: float, report: Report) -> Iterator[None]:
    """Hold the lock, which the kernel releases however its holder ends."""
    with path.open("w") as lock:
        waiting = False
        while not _locked(lock.fileno()):
            if not waiting:
                report(f"waiting for another process that is building Kubernetes {version()}")
                waiting = True
            if time.monotonic() > deadline:
                raise BuildError(f"Another process has held {path} for {LIMIT / 60:g} minutes.")
            time.sleep(0.2)
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _build(program: str, bin_folder: Path, deadline: float, report: Report) -> None:
    module = _MODULES / (program if program in _PACKAGES else "kubernetes")
    started = time.monotonic()
    report(f"building {program} for Kubernetes {version()} from Go modules; this happens once, five minutes for all")
    # Build in another folder and move the complete program, so that no partial program is ever found.
    draft = Path(tempfile.mkdtemp(dir=bin_folder.parent, prefix="build-"))
    try:
        with (draft / "log").open("w+b") as log:
            process = subprocess.Popen(
                _command(program, draft / program),
                cwd=module,
                env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"},
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                _wait(process, program, started, deadline, report)
            finally:
                _end(process)
            if process.returncode != 0:
                log.seek(0)
                tail = "\n".join(log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:])
                raise BuildError(f"go build of {program} in {module} failed with code {process.returncode}:\n{tail}")
        (draft / program).replace(bin_folder / program)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    report(f"built {program} in {time.monotonic() - started:.0f} s: {bin_folder / program}")


def _command(program: str, output: Path) -> list[str]:
    # kubectl and the API server report this version, from which clients derive what the server supports.
    major, minor, _ = version().split(".", 2)
    values = {"gitVersion": f"v{version()}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    flags = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items())
    package = _PACKAGES.get(program, f"k8s.io/kubernetes/cmd/{program}")
    return ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {flags}", "-o", str(output), package]


def _wait(process: subprocess.Popen[bytes], program: str, started: float, deadline: float, report: Report) -> None:
    while True:
        now = time.monotonic()
        if now > deadline:
            raise BuildError(f"go build of {program} took longer than {LIMIT / 60:g} minutes and was killed.")
        try:
            process.wait(min(_REPORT_EVERY, deadline - now + 0.1))
        except subprocess.TimeoutExpired:
            report(f"building {program}: {time.monotonic() - started:.0f} s")
        else:
            return


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill Go with its compilers, which are one process group."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
