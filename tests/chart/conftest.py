"""Fixtures: Helm with the chart, and a real Kubernetes API."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.chart.helm import HELM, PROJECT, Helm
from tests.chart.programs import Program, ProgramMissingError
from tests.chart.release import Release
from tests.harness.needs import OTHER_CRDS, STRIMZI_CRDS, needed_folder, unavailable
from tests.harness.operator.apiserver import ApiServer
from tests.integration.operator.conftest import apiserver, assets, namespace

__all__ = ["apiserver", "assets", "namespace"]

OTHERS: Final = {
    "prometheus-operator": "monitoring.coreos.com/v1/podmonitors",
    "gateway-api": "gateway.networking.k8s.io/v1/httproutes",
    "cnpg": "postgresql.cnpg.io/v1/clusters",
}
"""For each folder of definitions, a resource that the API serves with them."""


PROMTOOL: Final = Program("promtool", "0.316.0", "github.com/prometheus/prometheus/cmd/promtool")


def found(program: Program, request: pytest.FixtureRequest) -> Path:
    """Return the path of a program. Skip the tests that need it if there is none."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled():  # a build takes minutes, so its progress is shown
            return program.find(lambda message: print(f"\n{message}", file=sys.stderr, flush=True))
    except ProgramMissingError as error:
        unavailable(str(error))


@pytest.fixture(scope="session")
def promtool(request: pytest.FixtureRequest) -> Path:
    """Return promtool, Prometheus's checker of rules."""
    return found(PROMTOOL, request)


@pytest.fixture(scope="session")
def helm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Return Helm and the chart with its dependencies, real or placeholders. Skip the tests if there is no Helm."""
    program = found(HELM, request)
    folder = tmp_path_factory.mktemp("chart")
    chart = folder / "marketstream"
    subprocess.run([PROJECT / "charts" / "with-dependencies", chart], check=True, capture_output=True)
    return Helm(program, chart, folder)


@pytest.fixture(scope="session")
def definitions() -> Path:
    """Return the folder with Strimzi's definitions."""
    return needed_folder(STRIMZI_CRDS, "definitions of Strimzi")


@pytest.fixture(scope="session")
async def strimzi(apiserver: ApiServer, definitions: Path) -> None:
    """Install Strimzi's definitions."""
    await apiserver.kubectl("apply", "--server-side", "-f", str(definitions))
    await apiserver.serves("/apis/kafka.strimzi.io/v1/kafkas")


@pytest.fixture(scope="session")
async def others(apiserver: ApiServer) -> None:
    """Install the definitions of the Prometheus operator, of the Gateway API and of CloudNativePG."""
    folder = needed_folder(OTHER_CRDS, "definitions of other operators")
    for name, served in OTHERS.items():
        await apiserver.kubectl("apply", "--server-side", "-f", str(folder / name))
        await apiserver.serves(f"/apis/{served}")


@pytest.fixture
def release(apiserver: ApiServer, helm: Helm, namespace: str) -> Release:
    """Return a release that is not yet installed, in a namespace of its own."""
    return Release(apiserver, helm, namespace)
