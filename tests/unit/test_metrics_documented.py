"""Dashboards and alerts rely on the metrics: each is in the documentation with its labels, and no other is."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.harness.samples import defined

DOCS = Path(__file__).parents[2] / "docs"
OPERATOR = "marketstream_operator_"

Metrics = dict[str, frozenset[str]]
"""Names, as Prometheus is told them, with their labels."""


def registered() -> Metrics:
    """Return the metrics of the services and of the operator."""
    return {metric.name: metric.labels for metric in defined()}


def rows(page: str, heading: str) -> Iterator[list[str]]:
    """The cells of each row of the tables in a section, without the heads."""
    _, _, rest = (DOCS / page).read_text().partition(f"\n{heading}\n")
    section = re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0]
    for line in section.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_the_metrics_of_the_services_are_documented() -> None:
    documented = {
        name.strip("`"): frozenset(labels.split(", ")) - {""}
        for name, labels, _ in rows("reference/metrics.md", "## Services")
    }
    assert documented == {name: labels for name, labels in registered().items() if not name.startswith(OPERATOR)}


def test_the_metrics_of_the_operator_are_documented() -> None:
    """A cell names one metric or several, labels behind the name: `marketstream_operator_a{kind}`, `…_b`."""
    documented = {
        name.replace("…_", OPERATOR): frozenset(labels.split(",")) - {""}
        for cell, *_ in rows("reference/metrics.md", "## Operator")
        for name, labels in re.findall(r"`([^`{]+)(?:\{([^}]*)\})?`", cell)
    }
    assert documented == {name: labels for name, labels in registered().items() if name.startswith(OPERATOR)}
