"""What is written beside the templates: the README follows the values, alerts and board speak of metrics that exist."""

import importlib
import json
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from tests.chart.helm import CHART, PROJECT, Helm, only
from tests.chart.promql import PromqlError, read

METRICS = (
    "marketstream.api.metrics", "marketstream.backfill.metrics", "marketstream.exchanges.binance.metrics",
    "marketstream.processor.metrics", "marketstream.producer.metrics", "marketstream_operator.metrics",
)  # fmt: skip


def metrics() -> dict[str, set[str]]:
    """What the services and the operator count: the labels of every series."""
    for module in METRICS:
        importlib.import_module(module)
    found: dict[str, set[str]] = {}
    for collector, names in list(REGISTRY._collector_to_names.items()):
        for name in names:
            found[name] = set(getattr(collector, "_labelnames", ()))
    return found


def series(expression: str) -> set[str]:
    return set(re.findall(r"\bmarketstream_[a-z_]+\b", expression))


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text("utf-8"))["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def test_the_readme_is_what_the_values_say() -> None:
    done = subprocess.run(
        [sys.executable, PROJECT / "charts" / "readme.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_has_every_value() -> None:
    text = (CHART / "README.md").read_text("utf-8")
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))

    def leaves(part: Any, path: tuple[str, ...] = ()) -> set[str]:
        if not isinstance(part, dict) or not part or path[-1:] in (("resources",), ("labels",), ("config",)):
            return {".".join(path)}
        return set().union(*(leaves(value, (*path, key)) for key, value in part.items()))

    missing = {path for path in leaves(values) if f"| `{path}` |" not in text}
    assert not missing


def test_alerts_speak_of_what_is_counted() -> None:
    """And their texts of labels that are left of it: others would be empty."""
    known = metrics()
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names)
    for rule in alerts():
        reading = read(rule["expr"], known)
        assert reading.metrics == series(rule["expr"]) != set(), rule["alert"]
        said = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        assert said <= reading.labels, rule["alert"]


KNOWN = {"a": {"x", "y"}, "b": {"x"}}


@pytest.mark.parametrize(
    ("expression", "labels"),
    [
        ("a", "namespace pod x y"),
        ('increase(a{x="1",y=~"2|3"}[5m]) > 3', "namespace pod x y"),
        ("sum by (x) (a unless a offset 1h) > 0", "x"),
        ("time() - max(a) > 240", ""),
        ("a * on (pod) group_left () (b == 1)", "namespace pod x y"),
        ("a * on (pod) b", "pod"),
        ("a == 0 and on (namespace, pod) b > 1", "namespace pod x y"),
        ("max by (x) (a) < 1 or absent(a)", ""),
        ("sum by (x) (a) / sum by (x) (b) > 0.05", "x"),
    ],
)
def test_labels_that_an_expression_leaves(expression: str, labels: str) -> None:
    assert read(expression, KNOWN).labels == set(labels.split())


@pytest.mark.parametrize(
    "expression",
    ["c", "1 > 0", "a >", "a b", "sum by (z) (a)", 'a{z="1"}', "a / b", "a and on (y) b", "sum(a", "rate(a[5m]))", "?"],
)
def test_expressions_that_can_never_hold(expression: str) -> None:
    with pytest.raises(PromqlError):
        read(expression, KNOWN)


def test_what_to_do_is_said_for_every_alert() -> None:
    text = (PROJECT / "docs" / "operations.md").read_text("utf-8")
    table = text.split("\n### Alerts\n")[1].split("\n#")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [rule["alert"] for rule in alerts()]


def test_the_board_shows_what_is_counted(helm: Helm) -> None:
    known = metrics()
    made = only(helm.render("metrics.grafanaDashboard.enabled=true"), "ConfigMap", "marketstream-dashboard")
    board = json.loads(made["data"]["marketstream.json"])
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in panels:
        for target in panel["targets"]:
            used = {
                re.sub("_bucket$", "_seconds", n).replace("_seconds_seconds", "_seconds")
                for n in series(target["expr"])
            }
            assert used, panel["title"]
            assert used <= known.keys(), panel["title"]
            labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert labels <= {"pod"}.union(*(known[name] for name in used)), panel["title"]
    width = {
        row: sum(p["gridPos"]["w"] for p in panels if p["gridPos"]["y"] == row)
        for row in {p["gridPos"]["y"] for p in panels}
    }
    assert set(width.values()) == {24}
