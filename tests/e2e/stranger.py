"""A pod that belongs to nothing of the release, and knocks at doors."""

from collections.abc import Sequence
from typing import Any, Final

from tests.e2e import images
from tests.e2e.outside import CONTAINER_SECURITY, POD_SECURITY

_KNOCK: Final = """
import socket, sys
for target in sys.argv[1:]:
    host, port = target.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
        print(host, "reached")
    except OSError:
        print(host, "refused")
"""


def stranger(targets: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """It says which of these it reaches: names and ports of Services."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stranger"},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": POD_SECURITY,
            "containers": [
                {
                    "name": "stranger",
                    "image": f"{images.PREFIX}services:{images.TAG}",
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python", "-c", _KNOCK, *(f"{host}:{port}" for host, port in targets)],
                    "securityContext": CONTAINER_SECURITY,
                }
            ],
        },
    }
