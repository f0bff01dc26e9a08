"""The evidence of a failure: pods, events and logs, complete in artefacts/ and shortened in the report."""

import json
import subprocess
from collections.abc import Iterator, Sequence

from tests.browser.conftest import ARTEFACTS

SHORT = 25
"""The number of lines that the report shows of each log."""


def gather(namespaces: Sequence[str], name: str) -> str:
    """Write the evidence to artefacts/, and return a short version."""
    file = ARTEFACTS / "e2e" / f"{name}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    whole, short = [], []
    for namespace in namespaces:
        for title, text in _told(namespace):
            whole.append(f"==== {title}\n{text}\n")
            short.append(f"==== {title}\n" + "\n".join(text.splitlines()[-SHORT:]) + "\n")
    file.write_text("\n".join(whole))
    return f"complete: {file}\n\n" + "\n".join(short)


def _told(namespace: str) -> Iterator[tuple[str, str]]:
    yield f"pods of {namespace}", _kubectl(namespace, "get", "pods", "-o", "wide")
    yield f"events of {namespace}", _kubectl(namespace, "get", "events", "--sort-by=.lastTimestamp")
    yield f"MarketStreams of {namespace}", _kubectl(namespace, "get", "marketstreams", "-o", "yaml")
    pods = json.loads(_kubectl(namespace, "get", "pods", "-o", "json") or '{"items": []}')
    for pod in pods["items"]:
        name = pod["metadata"]["name"]
        yield f"log of {name}", _kubectl(namespace, "logs", name, "--all-containers", "--tail=400")
        if any(each.get("restartCount") for each in pod["status"].get("containerStatuses", ())):
            yield f"log of {name} before its restart", _kubectl(namespace, "logs", name, "--previous", "--tail=400")


def _kubectl(namespace: str, *arguments: str) -> str:
    try:
        asked = subprocess.run(
            ["kubectl", "--namespace", namespace, *arguments],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return asked.stdout or asked.stderr
