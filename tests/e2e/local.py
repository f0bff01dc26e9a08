"""The local contexts, and the commands that load an image into their nodes."""

import os
import re
import subprocess
from typing import Final

from tests.harness.needs import OFFLINE_CLUSTER, folder

OFFLINE: Final = "offline-cluster"

LOADERS: Final = {
    r"kind-(.+)": r'kind load docker-image --name \1 "$EXPECTED_REF"',
    r"k3d-(.+)": r'k3d image import --cluster \1 "$EXPECTED_REF"',
    r"minikube": r'minikube image load "$EXPECTED_REF"',
    r"docker-desktop": "true",  # shares the images of Docker
    OFFLINE: rf'{folder(OFFLINE_CLUSTER)}/images/load "$EXPECTED_REF"',
}
"""The local contexts, with the command that loads the image $EXPECTED_REF into the nodes of each."""


class NotLocalError(Exception):
    """The current context is not a known local one, and may be somebody's cluster."""


def current_context() -> str:
    """Return the current context of kubectl. Raises NotLocalError if there is no kubectl."""
    try:
        asked = subprocess.run(["kubectl", "config", "current-context"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NotLocalError("kubectl is not on the PATH: install it and choose a local context") from None
    return asked.stdout.strip()


def loader(context: str) -> str:
    """Return the command that loads an image: MARKETSTREAM_IMAGE_LOAD, or the one for the context.

    As in the Tiltfile, a given command that does not contain EXPECTED_REF gets the image as its argument. Raises
    NotLocalError.
    """
    for pattern, command in LOADERS.items():
        found = re.fullmatch(pattern, context)
        if found:
            given = os.environ.get("MARKETSTREAM_IMAGE_LOAD")
            if not given:
                return found.expand(command)
            return given if "EXPECTED_REF" in given else f'{given} "$EXPECTED_REF"'
    raise NotLocalError(
        f"the current kube context is {context or 'not set'!r}: the end-to-end tests install and kill things, so they "
        "run only on kind-*, k3d-*, minikube, docker-desktop and offline-cluster. Create a cluster with `make kind`, "
        "or choose a context with `kubectl config use-context`"
    )
