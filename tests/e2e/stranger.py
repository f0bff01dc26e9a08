"""A pod outside the release that tries to reach its servers."""

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
    """Return the pod. It prints for each target, a Service and a port, if it was reached or refused."""
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
