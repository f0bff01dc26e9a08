"""The things that tests need beside the repository, and the outcome of a test that cannot have them."""

import os
from pathlib import Path
from typing import Final, NoReturn

import pytest

PROJECT: Final = Path(__file__).parents[2]

RECORDINGS: Final = "RECORDINGS"
"""The variable that names the folder of recordings of real exchanges."""

STRIMZI_CRDS: Final = "STRIMZI_CRDS"
"""The variable that names the folder of Strimzi's custom resource definitions."""

OTHER_CRDS: Final = "OTHER_CRDS"
"""The variable that names the folder of the definitions of other operators, in a folder for each of them."""

OFFLINE_CLUSTER: Final = "OFFLINE_CLUSTER"
"""The variable that names the folder of the programs that make a cluster without Docker."""

_BESIDE: Final = {RECORDINGS: "recordings", STRIMZI_CRDS: "strimzi", OTHER_CRDS: "crds", OFFLINE_CLUSTER: "cluster"}
"""Names of these folders in ../shared, which only the maintainers' machines have."""


def unavailable(message: str) -> NoReturn:
    """Skip the test, because this machine lacks something; with CI=true, fail it."""
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(f"{message} With CI=true this is a failure.", pytrace=False)
    pytest.skip(message)


def folder(variable: str) -> Path:
    """Return the folder that an environment variable names, or its default, which need not exist."""
    return Path(os.environ.get(variable) or PROJECT.parent / "shared" / _BESIDE[variable])


def needed_folder(variable: str, content: str) -> Path:
    """Return the folder that an environment variable names, or its default; skip the test if there is none.

    `content` is a noun for the message.
    """
    found = folder(variable)
    if not found.is_dir():
        unavailable(f"No {content} in {found}: set {variable} to the folder that holds them.")
    return found
