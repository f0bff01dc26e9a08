"""Fixtures: Helm with the chart, and a real Kubernetes API."""

import subprocess
import sys

import pytest

from tests.chart.helm import PROJECT, Helm, HelmMissingError, find_helm
from tests.harness.needs import unavailable
from tests.integration.operator.conftest import apiserver, assets, namespace

__all__ = ["apiserver", "assets", "namespace"]


@pytest.fixture(scope="session")
def helm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Return Helm and the chart with its dependencies, real or placeholders. Skip the tests if there is no Helm."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled():  # a build takes minutes, so its progress is shown
            program = find_helm(lambda message: print(f"\n{message}", file=sys.stderr, flush=True))
    except HelmMissingError as error:
        unavailable(str(error))
    folder = tmp_path_factory.mktemp("chart")
    chart = folder / "marketstream"
    subprocess.run([PROJECT / "charts" / "with-dependencies", chart], check=True, capture_output=True)
    return Helm(program, chart, folder)
