"""The notes that Helm prints after an install: commands for the watched namespaces."""

import re

import pytest
import yaml

from tests.chart.helm import EXTERNAL, Helm, arguments


def notes(helm: Helm, *values: str) -> str:
    given = arguments(values)
    text = helm.run("install", "marketstream", helm.chart, "--namespace", "test", "--dry-run=client", *given)
    return text.partition("\nNOTES:\n")[2]


@pytest.mark.parametrize(
    ("served", "first", "deletes"),
    [
        ("null", "test", ["-n test delete marketstreams --all"]),
        ("{other,test}", "test", ["-n other delete marketstreams --all", "-n test delete marketstreams --all"]),
        ("{trading,desk}", "trading", ["-n trading delete marketstreams --all", "-n desk delete marketstreams --all"]),
        ("{*}", "test", ["delete marketstreams --all --all-namespaces"]),
    ],
)
def test_the_notes_name_the_watched_namespaces(helm: Helm, served: str, first: str, deletes: list[str]) -> None:
    said = notes(helm, *EXTERNAL, f"operator.watchNamespaces={served}")
    assert re.findall(r"kubectl (.*delete .*)", said) == deletes
    manifest = re.search(rf"^kubectl -n {first} apply -f - <<EOF\n(.*?)^EOF$", said, re.DOTALL | re.MULTILINE)
    assert manifest
    stream = list(yaml.safe_load_all(manifest[1]))[-1]
    assert stream["kind"] == "MarketStream"
    # One outside the operator's namespace is refused without a Secret there.
    assert ("connectionSecretRef" in stream["spec"]) is (first != "test")


@pytest.mark.parametrize("mode", ["internal", "cnpg"])
def test_the_notes_name_the_data_that_stays(helm: Helm, mode: str) -> None:
    said = notes(helm, *EXTERNAL, f"postgresql.mode={mode}")
    selector = "-l app.kubernetes.io/instance=marketstream"
    assert f"kubectl -n test get persistentvolumeclaim,secret {selector}" in said
    assert (f"kubectl -n test get clusters.postgresql.cnpg.io {selector}" in said) is (mode == "cnpg")
