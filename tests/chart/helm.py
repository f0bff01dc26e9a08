"""Helm, found on this machine or built once from its Go module, and the objects that it renders."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

VERSION: Final = "4.3.1"
"""Version to build if none is found. An installed Helm may be older, from 3.18 on."""

KUBERNETES: Final = "1.35.0"
"""Kubernetes version to render for without a cluster. A Helm built from its module may have another default."""

LIMIT_S: Final = 15 * 60.0
"""Limit of a build in seconds. Two minutes are usual on two cores."""

PROJECT: Final = Path(__file__).parents[2]
CHART: Final = PROJECT / "charts" / "marketstream"

Object = dict[str, Any]


class HelmMissingError(Exception):
    """Helm is missing and cannot be built."""


class HelmError(Exception):
    """Helm failed. The message is its output."""


def find_helm(report: Callable[[str], None]) -> Path:
    """Return Helm from HELM, KUBEBUILDER_ASSETS, the PATH or the cache, into which it is built if Go is installed.

    `report` gets a message when a build begins. Raises HelmMissingError.
    """
    if given := os.environ.get("HELM"):
        return Path(given)
    assets, on_path = os.environ.get("KUBEBUILDER_ASSETS"), shutil.which("helm")
    for program in ([Path(assets) / "helm"] if assets else []) + ([Path(on_path)] if on_path else []) + [_cached()]:
        if os.access(program, os.X_OK):
            return program
    if shutil.which("go") is None:
        raise HelmMissingError(
            f"The tests of the chart need helm, which is neither on the PATH nor in {_cached().parent}. "
            "Install Helm, or install Go to build it once, or set HELM to the program."
        )
    return _build(report)


def _cached() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "marketstream" / f"helm-{VERSION}" / "helm"


def _build(report: Callable[[str], None]) -> Path:
    program = _cached()
    program.parent.mkdir(parents=True, exist_ok=True)
    with (program.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test run may be building it
        if not program.exists():
            report(f"building Helm {VERSION} from Go modules, once: about two minutes")
            draft = program.parent / "draft"
            command = ["go", "install", "-trimpath", "-ldflags", "-s -w", f"helm.sh/helm/v4/cmd/helm@v{VERSION}"]
            environment = {**os.environ, "CGO_ENABLED": "0", "GOBIN": str(draft), "GOWORK": "off", "GOFLAGS": ""}
            try:
                subprocess.run(
                    command, env=environment, cwd=program.parent, check=True, capture_output=True, timeout=LIMIT_S
                )
            except subprocess.CalledProcessError as error:
                raise HelmMissingError(f"Helm could not be built: {error.stderr.decode()[-2000:]}") from error
            except subprocess.TimeoutExpired as error:
                raise HelmMissingError(f"Helm was not built within {LIMIT_S:g} s") from error
            (draft / "helm").replace(program)
    return program


@dataclass(frozen=True, slots=True)
class Helm:
    """Helm with the chart, including dependencies, and a home directory of its own."""

    program: Path
    chart: Path
    home: Path

    def run(self, *arguments: str | Path, kubeconfig: Path | None = None) -> str:
        """Run Helm and return its standard output. Raises HelmError when it fails."""
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "KUBECONFIG": str(kubeconfig or self.home / "no-cluster"),
        }
        done = subprocess.run(
            [self.program, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode != 0:
            raise HelmError(done.stderr.strip() + done.stdout)
        return done.stdout

    def render(
        self,
        *values: str,
        files: Sequence[str] = (),
        name: str = "marketstream",
        namespace: str = "test",
    ) -> list[Object]:
        """Return the objects that the chart renders with these `key=value` and files of the chart. Raises HelmError."""
        given = arguments(values, files)
        text = self.run("template", name, self.chart, "--namespace", namespace, "--kube-version", KUBERNETES, *given)
        return [each for each in yaml.safe_load_all(text) if each]


def arguments(values: Sequence[str], files: Sequence[str] = ()) -> list[str]:
    """Return the options that pass these values to Helm."""
    options = [option for file in files for option in ("--values", str(CHART / file))]
    return options + [option for value in values for option in ("--set", value)]


EXTERNAL: Final = ("kafka.mode=external", "strimzi.enabled=false", "kafka.external.bootstrapServers=kafka:9092")
"""Values for an existing Kafka."""

PRODUCTION: Final = "values-production.yaml"
DEVELOPMENT: Final = "values-dev.yaml"


def only(objects: Sequence[Object], kind: str, name: str | None = None) -> Object:
    """Return the only object of this kind, and of this name if one is given."""
    (found,) = [each for each in objects if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    return found


def pod_templates(objects: Sequence[Object]) -> dict[str, Object]:
    """Return the pod templates by the names of their objects."""
    found = {
        each["metadata"]["name"]: each["spec"]["template"]
        for each in objects
        if each["kind"] in ("Deployment", "StatefulSet")
    }
    return found | {each["metadata"]["name"]: each for each in objects if each["kind"] == "Pod"}
