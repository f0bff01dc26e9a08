"""The workflows of GitHub Actions: checked by actionlint and by rules of the project."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.harness.needs import PROJECT, unavailable

VERSION: Final = "1.7.12"
LIMIT_S: Final = 10 * 60.0
FOLDER: Final = PROJECT / ".github" / "workflows"
WORKFLOWS: Final = sorted(FOLDER.glob("*.yml"))

GRANTED: Final = {"images": {"packages", "id-token"}, "chart": {"packages", "contents", "id-token"}}
"""Rights to write, by job. cosign signs with the identity that id-token gives."""


@pytest.fixture(scope="module")
def actionlint() -> Path:
    """Return actionlint from the PATH or from the cache, into which it is built if Go is installed."""
    if found := shutil.which("actionlint"):
        return Path(found)
    base = os.environ.get("XDG_CACHE_HOME")
    cache = (Path(base) if base else Path.home() / ".cache") / "marketstream" / f"actionlint-{VERSION}"
    program = cache / "actionlint"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test run may be building it
        if not program.exists():
            if shutil.which("go") is None:
                unavailable("The tests of the workflows need actionlint, or Go to build it: install either.")
            environment = {**os.environ, "CGO_ENABLED": "0", "GOBIN": str(cache), "GOWORK": "off", "GOFLAGS": ""}
            module = f"github.com/rhysd/actionlint/cmd/actionlint@v{VERSION}"
            built = subprocess.run(
                ["go", "install", "-trimpath", module],
                env=environment, cwd=cache, capture_output=True, text=True, check=False, timeout=LIMIT_S,
            )  # fmt: skip
            if built.returncode:
                unavailable(f"Cannot build actionlint: {built.stderr[-2000:]}")
    return program


@pytest.fixture(params=WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def workflow(request: pytest.FixtureRequest) -> Any:
    """Return each of the workflows."""
    return yaml.safe_load(request.param.read_text())


def steps(workflow: Any) -> list[Any]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", ())]


def test_actionlint(actionlint: Path) -> None:
    """actionlint also runs shellcheck, if that is installed."""
    said = subprocess.run(
        [actionlint, "-no-color", *WORKFLOWS], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_actions_are_pinned(workflow: Any) -> None:
    for step in steps(workflow):
        if "uses" in step:
            assert re.fullmatch(r"[\w./-]+@(v\d+|[0-9a-f]{40})", step["uses"]), step["uses"]


def test_jobs_have_only_the_rights_that_they_need(workflow: Any) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        writes = {what for what, level in job.get("permissions", {}).items() if level == "write"}
        assert writes <= GRANTED.get(name, set()), name


def test_no_checkout_leaves_a_token_behind(workflow: Any) -> None:
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_every_job_has_a_timeout(workflow: Any) -> None:
    assert "concurrency" in workflow
    for name, job in workflow["jobs"].items():
        assert "uses" in job or 0 < job["timeout-minutes"] <= 90, name


def test_make_has_the_targets_that_are_called(workflow: Any) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    called = {target for step in steps(workflow) for target in re.findall(r"\bmake ([a-z0-9-]+)", step.get("run", ""))}
    assert called <= targets


def test_versions_agree_with_other_files() -> None:
    ci = yaml.safe_load((FOLDER / "ci.yml").read_text())
    assert ci["env"]["KIND_VERSION"] in (PROJECT / "kind-config.yaml").read_text()
    chart = yaml.safe_load((PROJECT / "charts" / "marketstream" / "Chart.yaml").read_text())
    (strimzi,) = chart["dependencies"]
    assert (
        f"{strimzi['repository']}/{strimzi['name']} --version {strimzi['version']}" in (FOLDER / "ci.yml").read_text()
    )
    helm = {step["with"]["version"] for each in WORKFLOWS for step in steps(yaml.safe_load(each.read_text()))
            if step.get("uses", "").startswith("azure/setup-helm@")}  # fmt: skip
    assert helm == {"${{ env.HELM_VERSION }}", ci["env"]["HELM_VERSION"]}


def test_the_release_finds_the_text_that_it_replaces() -> None:
    values = (PROJECT / "charts" / "marketstream" / "values.yaml").read_text()
    for image in ("services", "operator"):
        assert len(re.findall(rf"repository: marketstream/{image}$", values, re.MULTILINE)) == 1


def test_the_plugin_deselects_the_tests_that_need_recordings() -> None:
    """The plugin deselects exactly the tests that need recordings."""

    def collected(*arguments: str) -> set[str]:
        collect = ["-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
        ran = subprocess.run(
            [sys.executable, *collect, *arguments, "tests/unit/exchanges"],
            cwd=PROJECT, env={**os.environ, "PYTHONPATH": ".", "RECORDINGS": "/nowhere"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return {line for line in ran.stdout.splitlines() if "::" in line}

    everything, rest = collected(), collected("-p", "tests.workflows.without_recordings")
    assert "tests/unit/exchanges/replay/test_exchange.py" in {line.split("::")[0] for line in everything - rest}
    assert len(rest) > len(everything - rest) > 0
