"""What is written beside the templates: the README follows the values, alerts and board speak of metrics that exist."""

import importlib
import json
import re
import subprocess
import sys
from typing import Any

import yaml
from prometheus_client import REGISTRY

from tests.chart.helm import CHART, PROJECT, Helm, only

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
    known = metrics()
    (group,) = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text("utf-8"))["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(set(names)) == len(names)
    for rule in group["rules"]:
        used = series(rule["expr"])
        assert used, rule["alert"]
        assert used <= known.keys(), rule["alert"]
        said = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        assert said <= {"namespace", "pod"}.union(*(known[name] for name in used)), rule["alert"]


def test_what_to_do_is_said_for_every_alert() -> None:
    text = (PROJECT / "docs" / "operations.md").read_text("utf-8")
    (group,) = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text("utf-8"))["groups"]
    assert not [rule["alert"] for rule in group["rules"] if f"`{rule['alert']}`" not in text]


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
