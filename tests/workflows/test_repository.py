"""Files for those who contribute: they name folders, tools and sections that exist."""

import subprocess
from typing import Any

import pytest
import yaml

from tests.harness.needs import PROJECT

GITHUB = PROJECT / ".github"


def load(name: str) -> Any:
    return yaml.safe_load((PROJECT / name).read_text("utf-8"))


def test_dependabot_looks_where_dependencies_are() -> None:
    manifests = {
        "uv": "uv.lock", "npm": "package-lock.json", "docker": "Dockerfile", "gomod": "go.mod", "helm": "Chart.yaml",
    }  # fmt: skip
    updates = {each["package-ecosystem"]: each for each in load(".github/dependabot.yml")["updates"]}
    assert updates.keys() == {*manifests, "github-actions"}
    for ecosystem, manifest in manifests.items():
        named = updates[ecosystem].get("directories") or [updates[ecosystem]["directory"]]
        folders = [folder for name in named for folder in ([PROJECT] if name == "/" else PROJECT.glob(name[1:]))]
        assert folders
        assert all((folder / manifest).is_file() for folder in folders), ecosystem


@pytest.mark.parametrize("form", sorted(path.name for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml")))
def test_issue_forms(form: str) -> None:
    fields = load(f".github/ISSUE_TEMPLATE/{form}")
    if form == "config.yml":
        return
    assert {"name", "description", "body"} <= fields.keys()
    ids = [each["id"] for each in fields["body"] if each["type"] != "markdown"]
    assert len(set(ids)) == len(ids) > 0


def test_hooks_run_tools_of_the_environment() -> None:
    """pre-commit itself has nothing to fetch, and every hook calls a tool that make installs."""
    (repository,) = load(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        program = hook["entry"].split()[0]
        assert program == "awk" or (program.startswith(".venv/bin/") and (PROJECT / program).exists()), hook["id"]


def test_the_notes_of_a_release_are_its_section_of_the_changelog() -> None:
    command = [GITHUB / "release-notes", "0.1.0", "registry.example/name", "https://host.example/name"]
    notes = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "The first version." in notes
    assert "Unreleased" not in notes
    assert "oci://registry.example/name/charts/marketstream --version 0.1.0" in notes
    assert "https://host.example/name/.github/workflows/release.yml@refs/tags/v0.1.0" in notes
