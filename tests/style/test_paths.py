"""Gate: the project does not rely on folders beside it, which no clone has."""

import subprocess

from tests.harness.needs import PROJECT

BESIDE = r"\.\./shared|[\"']shared[\"']"
ALLOWED = {".ci/run", "tests/harness/needs.py"}


def test_one_module_knows_the_folder_beside_the_project() -> None:
    """Everything else gets paths from environment variables, or from that module."""
    found = subprocess.run(["git", "grep", "-lE", BESIDE], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert set(found.stdout.split()) == ALLOWED
