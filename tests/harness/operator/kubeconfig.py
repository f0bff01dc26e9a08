"""Kubeconfig files that kubectl, kopf and the Python client can read."""

import json
from pathlib import Path


def write_kubeconfig(path: Path, server: str, authority: Path, token: str) -> Path:
    """Write the kubeconfig of a client that trusts `authority` and authenticates by `token`. Return its path."""
    configuration = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": {"server": server, "certificate-authority": str(authority)}}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "user"}}],
        "current-context": "tests",
    }
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(configuration, indent=2), "utf-8")  # JSON is YAML
    return path
