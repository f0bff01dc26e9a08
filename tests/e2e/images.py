"""The images of this checkout: built and loaded into the nodes."""

import os
import time
from typing import Final

from tests.e2e.kube import program
from tests.e2e.local import OFFLINE
from tests.harness.needs import OFFLINE_CLUSTER, PROJECT, folder

TAG: Final = "e2e"
NEXT_TAG: Final = "e2e-next"
"""The tag of the same images as the version to upgrade to."""

PREFIX: Final = "marketstream/"
EXCHANGE: Final = f"{PREFIX}exchange:{TAG}"
KAFKA: Final = "docker.io/apache/kafka:4.3.1"

BASES: Final = ("docker.io/library/postgres:18", "docker.io/library/redis:8", KAFKA)
"""Images that nodes without a registry need as well."""

BUILD_S: Final = 900.0

BUILDER: Final = "MARKETSTREAM_IMAGE_BUILD"
"""The variable with the command that builds an image."""


async def bring(context: str, load: str) -> None:
    """Build all images and load them into the nodes. Nodes with a registry pull the official images themselves.

    With MARKETSTREAM_E2E_IMAGES=keep, the images of the last run are used, which saves time while changing these tests.
    """
    if os.environ.get("MARKETSTREAM_E2E_IMAGES") == "keep":
        return
    began = time.monotonic()
    tools = []
    if context == OFFLINE:
        programs = folder(OFFLINE_CLUSTER) / "images"
        await program(str(programs / "build"), "python", "postgres", "redis", "kafka", limit=BUILD_S)
        tools = [f"{BUILDER}={os.environ.get(BUILDER) or programs / 'bud'}"]
    for tag in (TAG, NEXT_TAG):
        await make("images", f"VERSION={tag}", f"IMAGE_PREFIX={PREFIX}", *tools)
    await make("image-of-exchange", f"VERSION={TAG}", f"IMAGE_PREFIX={PREFIX}", *tools)
    built = time.monotonic()
    ours = [f"{PREFIX}{name}:{tag}" for name in ("services", "operator") for tag in (TAG, NEXT_TAG)]
    for image in (*ours, EXCHANGE, *(BASES if context == OFFLINE else ())):
        await program("sh", "-c", load, limit=BUILD_S, environment={"EXPECTED_REF": image})
    print(f"images: built in {built - began:.0f} s, loaded in {time.monotonic() - built:.0f} s")


async def make(*arguments: str) -> None:
    """Run make in the project, independently of the make that may have started these tests."""
    outer = {name: "" for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS") if name in os.environ}
    await program("make", "--directory", str(PROJECT), *arguments, limit=BUILD_S, environment=outer)
