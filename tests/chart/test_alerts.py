"""The alerts as Prometheus itself reads and evaluates them, by promtool."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.helm import CHART, PROJECT, Helm, only
from tests.chart.promql import TARGET
from tests.chart.test_documents import alerts, metrics

TESTS = PROJECT / "tests" / "chart" / "alerts.yaml"
PAGE = "https://docs.example/how-to/monitor/"


def promtool_says(promtool: Path, *arguments: str | Path) -> tuple[bool, str]:
    """Run promtool and return True if it is content, and its output."""
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def unit_tests() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(TESTS.read_text("utf-8"))["tests"]
    return found


@pytest.mark.parametrize("url", ["", PAGE])
def test_the_rendered_rules_are_accepted(promtool: Path, helm: Helm, tmp_path: Path, url: str) -> None:
    values = ("metrics.prometheusRule.enabled=true", f"metrics.prometheusRule.runbookUrl={url}")
    spec = only(helm.render(*values), "PrometheusRule")["spec"]
    rules = [rule for group in spec["groups"] for rule in group["rules"]]
    runbooks = [rule["annotations"].pop("runbook_url", "") for rule in rules]
    assert runbooks == [f"{url}#{rule['alert'].lower()}" if url else "" for rule in rules]
    assert rules == alerts(), "the template must change nothing else"
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(spec))
    accepted, said = promtool_says(promtool, "check", "rules", "--lint=all", "--lint-fatal", file)
    assert accepted, said
    assert f"{len(rules)} rules found" in said


def test_the_unit_tests_pass(promtool: Path) -> None:
    passed, said = promtool_says(promtool, "test", "rules", TESTS)
    assert passed, said


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    fires: dict[str, set[bool]] = {}
    for test in unit_tests():
        for check in test.get("promql_expr_test", ()):
            (alert,) = re.findall(r'alertname="(\w+)"', check["expr"])
            fires.setdefault(alert, set()).add(bool(check.get("exp_samples")))
    assert fires == {rule["alert"]: {True, False} for rule in alerts()}


def test_the_unit_tests_use_series_that_exist() -> None:
    known = metrics()
    for test in unit_tests():
        for each in test.get("input_series", ()):
            name, _, selector = each["series"].partition("{")
            labels = set(re.findall(r'(\w+)="', selector))
            assert labels <= TARGET | known[name], each["series"]
            assert labels >= {"namespace", "pod"} | known[name], each["series"]


def test_alerts_that_cannot_fire_are_noticed(promtool: Path, tmp_path: Path) -> None:
    """With alerts that never fire, the unit tests of each fail, so that they do test something."""
    rules = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text("utf-8"))
    for rule in rules["groups"][0]["rules"]:
        rule["expr"] = f"({rule['expr']}) and vector(0) > 1"
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(rules))
    tests = {**yaml.safe_load(TESTS.read_text("utf-8")), "rule_files": ["alerts.yaml"]}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(tests))
    passed, said = promtool_says(promtool, "test", "rules", tmp_path / "tests.yaml")
    assert not passed
    assert set(re.findall(r'alertname=\\?"(\w+)', said)) == {rule["alert"] for rule in alerts()}
