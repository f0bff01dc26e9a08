"""The addresses that a release writes into the chart."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.chart.helm import CHART, PROJECT

SOURCE = "https://host.example/owner/name"
REGISTRY = "registry.example/owner/name"


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A copy of the chart."""
    return Path(shutil.copytree(CHART, tmp_path / "marketstream", ignore=shutil.ignore_patterns("*.tgz")))


def release(chart: Path) -> subprocess.CompletedProcess[str]:
    """Run the script without the packages of the environment, as the workflow does."""
    options = ["--source", SOURCE, "--ref", "v9.8.7", "--registry", REGISTRY, "--chart", chart]
    command = [sys.executable, "-I", "-S", PROJECT / "charts" / "release.py", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_release_writes_where_it_is_published(chart: Path) -> None:
    before = {name: yaml.safe_load((chart / name).read_text("utf-8")) for name in ("Chart.yaml", "values.yaml")}
    done = release(chart)
    assert done.returncode == 0, done.stderr
    metadata = yaml.safe_load((chart / "Chart.yaml").read_text("utf-8"))
    assert (chart / "LICENSE").read_text("utf-8") == (PROJECT / "LICENSE").read_text("utf-8")
    assert metadata["home"] == SOURCE
    assert metadata["sources"] == [SOURCE]
    icon = metadata["icon"].removeprefix(f"{SOURCE}/raw/v9.8.7/")
    assert (PROJECT / icon).is_file()
    images = yaml.safe_load(metadata["annotations"]["artifacthub.io/images"])
    version = metadata["appVersion"]
    assert [each["image"] for each in images] == [f"{REGISTRY}/services:{version}", f"{REGISTRY}/operator:{version}"]
    (link,) = yaml.safe_load(metadata["annotations"]["artifacthub.io/links"])
    assert link["url"] == f"{SOURCE}/tree/v9.8.7/docs"
    assert metadata["annotations"].items() > before["Chart.yaml"]["annotations"].items()
    values = yaml.safe_load((chart / "values.yaml").read_text("utf-8"))
    for name in ("services", "operator"):
        assert values["images"][name].pop("repository") == f"{REGISTRY}/{name}"
        del before["values.yaml"]["images"][name]["repository"]
    alerts = values["metrics"]["prometheusRule"].pop("runbookUrl").removeprefix(f"{SOURCE}/blob/v9.8.7/")
    assert (PROJECT / alerts).is_file()
    del before["values.yaml"]["metrics"]["prometheusRule"]["runbookUrl"]
    assert values == before["values.yaml"]


def test_a_second_release_into_the_same_files_is_refused(chart: Path) -> None:
    release(chart)
    done = release(chart)
    assert done.returncode != 0
    assert "names a home already" in done.stderr


@pytest.mark.parametrize("annotation", ["crds", "crdsExamples"])
def test_annotations_are_lists_of_the_resource(annotation: str) -> None:
    metadata = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    (entry,) = yaml.safe_load(metadata["annotations"][f"artifacthub.io/{annotation}"])
    assert entry["kind"] == "MarketStream"
