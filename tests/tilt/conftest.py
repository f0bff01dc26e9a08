"""Fixtures: a copy of the files that the Tiltfile reads, Helm, and a Kubernetes API."""

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.chart.conftest import helm
from tests.chart.helm import Helm
from tests.harness.needs import PROJECT
from tests.integration.operator.conftest import apiserver, assets, kinds, namespace, proxy
from tests.tilt.tilt import Tiltfile

__all__ = ["apiserver", "assets", "helm", "kinds", "namespace", "proxy"]

Read = Callable[..., Tiltfile]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of the project, as after a fresh checkout."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("Tiltfile", "pyproject.toml", "uv.lock", ".dockerignore"):
        shutil.copy(PROJECT / name, folder)
    for name in ("charts", "manifests"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("*.tgz"))
    for name in ("services", "operator"):
        (folder / name).symlink_to(PROJECT / name)
    return folder


@pytest.fixture
def read(project: Path, helm: Helm) -> Read:
    """Return a function that reads the Tiltfile with arguments of `tilt up --`, and can download Strimzi's chart."""

    def read(*arguments: str, **given: object) -> Tiltfile:
        given = {"pull": lambda: fetch_strimzi(project), **given}
        return Tiltfile(project=project, helm=helm.program, arguments=arguments, **given).read()  # type: ignore[arg-type]

    return read


def fetch_strimzi(project: Path) -> None:
    """Create a chart in place of Strimzi's, as `helm pull` would: a definition, an operator, and its account."""
    chart = project / "charts" / "marketstream"
    (dependency,) = yaml.safe_load((chart / "Chart.yaml").read_text())["dependencies"]
    name, version = dependency["name"], dependency["version"]
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "kafkas.kafka.strimzi.io"}, "spec": {"group": "kafka.strimzi.io"},
    }  # fmt: skip
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "strimzi-cluster-operator"}}
    labels = {"name": "strimzi-cluster-operator"}
    operator = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "strimzi-cluster-operator"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "operator", "image": "quay.io/strimzi/operator:1.2.0"}]},
            },
        },
    }  # fmt: skip
    files = {
        "Chart.yaml": {"apiVersion": "v2", "name": name, "version": version},
        "crds/040-Crd-kafka.yaml": definition,
        "templates/010-ServiceAccount.yaml": account,
        "templates/060-Deployment.yaml": operator,
    }
    (chart / "charts").mkdir(exist_ok=True)
    with tarfile.open(chart / "charts" / f"{name}-{version}.tgz", "w:gz") as archive:
        for path, content in files.items():
            text = yaml.safe_dump(content).encode()
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
