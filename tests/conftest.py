"""What tests of every kind share."""

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder with recordings of real exchanges: RECORDINGS, or ../shared/recordings beside the project."""
    folder = Path(os.environ.get("RECORDINGS") or PROJECT.parent / "shared" / "recordings")
    assert folder.is_dir(), f"no recordings in {folder}: set RECORDINGS to the folder that holds them"
    return folder
