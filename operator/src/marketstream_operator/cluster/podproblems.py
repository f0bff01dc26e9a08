"""The problem that keeps a pod from running, as a reason and a message that a person can act on."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from marketstream.failures import Failure

_WAITING: Final = {
    "ErrImagePull": "ImagePullFailed",
    "ImagePullBackOff": "ImagePullFailed",
    "InvalidImageName": "ImagePullFailed",
    "ErrImageNeverPull": "ImagePullFailed",
    "CrashLoopBackOff": "CrashLoop",
    "CreateContainerConfigError": "PodConfigError",
    "CreateContainerError": "PodConfigError",
    "RunContainerError": "PodConfigError",
}
"""The kubelet's reasons for a waiting container, and the reasons for them in the status of a MarketStream."""

_WITHOUT_MESSAGE: Final = frozenset({"CreateContainerError", "RunContainerError"})
"""Reasons whose message is the container runtime's, which may quote a variable of the container's environment."""

_LONGEST: Final = 300
"""Maximum number of characters of a message in the status."""


class Problem(msgspec.Struct, frozen=True, order=True):
    """A reason in CamelCase, and the message of the kubelet or the scheduler, or the cause of a container's end."""

    reason: str
    message: str


def has_ended(pod: Mapping[str, Any]) -> bool:
    """Return True if no container of the pod will run again: an evicted pod stays beside its successor for days."""
    return (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")


def problem_of(pod: Mapping[str, Any]) -> Problem | None:
    """Return the problem of the pod; None when it runs, is just starting, or is being deleted."""
    if "deletionTimestamp" in pod["metadata"]:
        return None
    return next(_problems(pod), None)


def _problems(pod: Mapping[str, Any]) -> Iterator[Problem]:
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            yield Problem("Unschedulable", _short(condition.get("message")))
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = _WAITING.get(waiting.get("reason", ""))
        if reason == "CrashLoop":
            ended = (container.get("lastState") or {}).get("terminated") or {}
            yield Problem(reason, _last_words(ended) or _short(waiting.get("message")))
        elif reason and waiting["reason"] in _WITHOUT_MESSAGE:
            yield Problem(reason, f"{waiting['reason']}: see kubectl describe of the pod")
        elif reason:
            yield Problem(reason, _short(waiting.get("message") or waiting["reason"]))
        ended = (container.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            yield Problem("CrashLoop", _last_words(ended))


def _last_words(ended: Mapping[str, Any]) -> str:
    """Return the cause of the end of a container, and its exit code.

    The message is the end of the container's log, which FallbackToLogsOnError has kept. The log may quote a Secret, and
    readers of a MarketStream may have no right to read Secrets or logs: only the services' own words are taken from it.
    """
    lines = str(ended.get("message") or "").strip().splitlines()
    failure = Failure.read(lines[-1].strip()) if lines else None
    code = f"exit code {ended.get('exitCode')}" + (f", {ended['reason']}" if ended.get("reason") == "OOMKilled" else "")
    if failure is not None:
        return f"{failure.meaning}: see the log of the pod ({failure.code}, {code})"
    return f"{code}: see the log of the pod" if lines else code


def _short(text: object) -> str:
    said = " ".join(str(text or "").split())
    return said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"
