"""Files beside the templates: the README follows the values, alerts and dashboard use metrics that exist."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from marketstream.market.aggregator import Aggregator
from marketstream.market.progress import Progress
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_US

from tests.chart.helm import CHART, PROJECT, Helm, only
from tests.chart.promql import PromqlError, read
from tests.harness.samples import defined
from tests.harness.scenarios import EPOCH


def metrics() -> dict[str, set[str]]:
    """Return the labels of every series of the services and of the operator."""
    return {name: set(labels) for metric in defined() for name, labels in metric.series.items()}


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


DOCUMENTS = [PROJECT / "README.md", CHART / "README.md", *(PROJECT / "docs").rglob("*.md")]
EVERYWHERE = re.compile(
    r"kubectl delete (crd|customresourcedefinition|namespace|clusterrole)|delete .*--all-namespaces"
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_delete_for_the_whole_cluster_stands_alone(document: Path) -> None:
    """A block that tidies a namespace, pasted as a whole, must not delete the streams of everybody."""
    blocks = re.findall(r"^```sh\n(.*?)^```", document.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    wide = [[line for line in block.splitlines() if line] for block in blocks if EVERYWHERE.search(block)]
    assert [block for block in wide if len(block) > 1] == []


def test_the_readme_names_the_leases_that_stay(helm: Helm) -> None:
    readme = (CHART / "README.md").read_text("utf-8")
    container = only(helm.render(), "Deployment", "marketstream-operator")["spec"]["template"]["spec"]["containers"][0]
    lease = next(each["value"] for each in container["env"] if each["name"] == "LEASE_NAME")
    assert f"delete lease {lease} strimzi-cluster-operator" in readme


def test_alerts_use_metrics_that_exist() -> None:
    """Alerts use existing metrics, and their texts use labels of the result: others would be empty."""
    known = metrics()
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names)
    for rule in alerts():
        reading = read(rule["expr"], known)
        assert reading.metrics == series(rule["expr"]) != set(), rule["alert"]
        said = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        assert said <= reading.labels, rule["alert"]


KNOWN = {"a": {"x", "y"}, "b": {"x"}, "c_bucket": {"x", "le"}}


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
        ("histogram_quantile(0.5, sum by (le, x) (rate(c_bucket[5m])))", "x"),
    ],
)
def test_the_labels_of_the_result(expression: str, labels: str) -> None:
    assert read(expression, KNOWN).labels == set(labels.split())


@pytest.mark.parametrize(
    "expression",
    [
        "c", "1 > 0", "a >", "a b", "sum by (z) (a)", 'a{z="1"}', "a / b", "a and on (y) b", "sum(a", "rate(a[5m]))",
        "?", "histogram_quantile(0.5, b)", "histogram_quantile(a, c_bucket)", "histogram_quantile(c_bucket)",
    ],
)  # fmt: skip
def test_invalid_expressions_are_rejected(expression: str) -> None:
    with pytest.raises(PromqlError):
        read(expression, KNOWN)


def test_every_alert_has_a_section_in_the_documentation() -> None:
    text = (PROJECT / "docs" / "how-to" / "monitor.md").read_text("utf-8")
    sections = re.split(r"^### ", text.split("\n## Alerts\n")[1], flags=re.MULTILINE)[1:]
    assert [section.split("\n")[0] for section in sections] == [rule["alert"] for rule in alerts()]
    for section in sections:
        assert "\n- **Check.** " in section
        assert "\n- **Act.** " in section


def board() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CHART / "files" / "dashboard.json").read_text("utf-8"))
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in board()["panels"] if panel["type"] != "row"]


def test_the_dashboard_is_rendered_unchanged(helm: Helm) -> None:
    made = only(helm.render("metrics.grafanaDashboard.enabled=true"), "ConfigMap", "marketstream-dashboard")
    assert json.loads(made["data"]["marketstream.json"]) == board()


def test_the_panels_of_the_dashboard_leave_no_space_between_them() -> None:
    everything = board()["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    taken = [
        (x, y)
        for at in (panel["gridPos"] for panel in everything)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    height = max(y for _, y in taken) + 1
    assert sorted(taken) == [(x, y) for x in range(24) for y in range(height)]


def test_the_dashboard_uses_metrics_that_exist() -> None:
    """Panels use existing metrics, and their legends use labels of the result: others would be empty."""
    known = metrics()
    for panel in panels():
        for target in panel["targets"]:
            reading = read(target["expr"], known)
            assert reading.metrics == series(target["expr"]) != set(), panel["title"]
            legend = target["legendFormat"]
            assert set(re.findall(r"\{\{(\w+)\}\}", legend)) == reading.labels, panel["title"]
            assert legend, panel["title"]
            assert target["expr"].count('{namespace=~"$namespace"') == target["expr"].count("marketstream_")


@pytest.mark.parametrize(
    "metric",
    [
        "marketstream_operator_fresh", "marketstream_processor_heard_until_seconds",
        "marketstream_binance_connect_failures_total", "marketstream_binance_connections_total",
        "marketstream_binance_overflow_trades_total",
    ],
)  # fmt: skip
def test_the_dashboard_shows_the_causes_of_silence(metric: str) -> None:
    assert any(metric in series(target["expr"]) for panel in panels() for target in panel["targets"])


def outcomes(expression: str) -> list[str]:
    return [name for names in re.findall(r'outcome=~"([^"]*)"', expression) for name in names.split("|")]


def test_only_outcomes_that_exclude_each_other_are_stacked() -> None:
    """Stacked, they add up to the trades that were read; the others are properties of counted trades."""
    about = [panel for panel in panels() if "marketstream_processor_trades_total" in json.dumps(panel["targets"])]
    stacks, others = [], []
    for panel in about:
        is_stacked = panel["fieldConfig"]["defaults"]["custom"].get("stacking", {}).get("mode", "none") != "none"
        (stacks if is_stacked else others).extend(outcomes(panel["targets"][0]["expr"]))

    aggregator = Aggregator(Progress(), grace_us=0, max_id_jump=1000, max_holes=2)
    given = (
        [(2, 1, 1.5), (4, 1, 2.5), (6, 1, 3.5), (8, 1, 4.5), (10, 1, 5.5), (12, 1, 20.5)],
        [(3, 1, 1.7), (10, 1, 5.5), (9, 2, 5.2), (9, 1, 5.1), (11, 1, 4.9), (5000, 1, 21.5)],
    )
    for offset, trades in enumerate(given):
        made = [Trade(id_, n, EPOCH + int(window * WINDOW_US), 100, 5, taker_buy=True) for id_, n, window in trades]
        aggregator.apply(Trades.of(made, 2, 3), offset, EPOCH + 30 * WINDOW_US)
        aggregator.take(offset + 1)
    counts = aggregator.counters.as_dict()
    assert all(counts.values()), counts
    assert sorted(stacks + others) == sorted(counts)
    assert sum(counts[outcome] for outcome in stacks) == sum(n for trades in given for _, n, _ in trades)
