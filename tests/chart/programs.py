"""Programs for the tests of the chart, found on this machine or built once from their Go modules."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LIMIT_S: Final = 20 * 60.0
"""Limit of a build in seconds. Two to five minutes are usual on two cores."""


class ProgramMissingError(Exception):
    """A program is missing and cannot be built."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program, and the package and version to build if none is found."""

    name: str
    version: str
    package: str

    def find(self, report: Callable[[str], None]) -> Path:
        """Return the program from its variable, KUBEBUILDER_ASSETS, the PATH or the cache, or build it if Go is there.

        The variable is its name in capitals. `report` gets a message when a build begins. Raises ProgramMissingError.
        """
        if given := os.environ.get(self.name.upper()):
            return Path(given)
        assets, on_path = os.environ.get("KUBEBUILDER_ASSETS"), shutil.which(self.name)
        known = ([Path(assets) / self.name] if assets else []) + ([Path(on_path)] if on_path else [])
        for program in [*known, self._cached()]:
            if os.access(program, os.X_OK):
                return program
        if shutil.which("go") is None:
            raise ProgramMissingError(
                f"Tests of the chart need {self.name}, which is neither on the PATH nor in {self._cached().parent}. "
                f"Install it, or install Go to build it once, or set {self.name.upper()} to the program."
            )
        return self._build(report)

    def _cached(self) -> Path:
        base = os.environ.get("XDG_CACHE_HOME")
        folder = (Path(base) if base else Path.home() / ".cache") / "marketstream" / f"{self.name}-{self.version}"
        return folder / self.name

    def _build(self, report: Callable[[str], None]) -> Path:
        program = self._cached()
        program.parent.mkdir(parents=True, exist_ok=True)
        with (program.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another test run may be building it
            if not program.exists():
                report(f"building {self.name} {self.version} from Go modules, once: a few minutes")
                draft = program.parent / "draft"
                command = ["go", "install", "-trimpath", "-ldflags", "-s -w", f"{self.package}@v{self.version}"]
                environment = {**os.environ, "CGO_ENABLED": "0", "GOBIN": str(draft), "GOWORK": "off", "GOFLAGS": ""}
                try:
                    subprocess.run(
                        command, env=environment, cwd=program.parent, check=True, capture_output=True, timeout=LIMIT_S
                    )
                except subprocess.CalledProcessError as error:
                    raise ProgramMissingError(
                        f"{self.name} could not be built: {error.stderr.decode()[-2000:]}"
                    ) from error
                except subprocess.TimeoutExpired as error:
                    raise ProgramMissingError(f"{self.name} was not built within {LIMIT_S:g} s") from error
                (draft / self.name).replace(program)
        return program
