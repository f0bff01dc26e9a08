"""Helm, and the objects that it renders."""

import base64
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.chart.programs import Program

HELM: Final = Program("helm", "4.3.1", "helm.sh/helm/v4/cmd/helm")
"""An installed Helm may be older, from 3.18 on."""

KUBERNETES: Final = "1.35.0"
"""Kubernetes version to render for without a cluster. A Helm built from its module may have another default."""

PROJECT: Final = Path(__file__).parents[2]
CHART: Final = PROJECT / "charts" / "marketstream"

Object = dict[str, Any]


class HelmError(Exception):
    """Helm failed. The message is its output."""


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


def environment(container: Object) -> dict[str, str]:
    """Return the variables of a container that have a value of their own."""
    return {each["name"]: each.get("value", "") for each in container["env"]}


def secret(objects: Sequence[Object], name: str) -> dict[str, str]:
    """Return the decoded texts of a Secret."""
    data = only(objects, "Secret", name)["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}
