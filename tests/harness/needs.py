"""What a test needs beside the repository, and what happens where that is not there."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

PROJECT = Path(__file__).parents[2]


def unavailable(message: str) -> NoReturn:
    """Skips the test for what is not on this machine; with CI=true that is a failure."""
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(f"{message} With CI=true this is a failure.", pytrace=False)
    pytest.skip(message)


def folder_beside(name: str, variable: str, what: str) -> Path:
    """The folder that the variable names, or ../shared/`name` beside the project."""
    folder = Path(os.environ.get(variable) or PROJECT.parent / "shared" / name)
    if not folder.is_dir():
        unavailable(f"No {what} in {folder}: set {variable} to the folder that holds them.")
    return folder
