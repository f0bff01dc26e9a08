"""A clean working directory for every test of the command line."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty directory, and remove every address from the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("KAFKA_BOOTSTRAP", "DATABASE_URL", "REDIS_URL", "HTTP_PORT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path
