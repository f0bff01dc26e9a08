"""The problem of a pod, by the reports of the kubelet and the scheduler."""

from typing import Any

import pytest
from marketstream_operator.cluster.podproblems import Problem, problem_of


def pod(*, conditions: Any = (), state: Any = None, last: Any = None, **metadata: Any) -> dict[str, Any]:
    container = {"name": "producer", "state": state or {"running": {}}, "lastState": last or {}}
    return {"metadata": metadata, "status": {"conditions": list(conditions), "containerStatuses": [container]}}


LOG = "2026-01-01 starting\nmarketstream processor: GRACE_MS is 's3cret': expected … [setting_invalid GRACE_MS]\n"
SAID = "a setting is missing or cannot be used (GRACE_MS): see the log of the pod (setting_invalid, exit code 2)"
CRASHED = {"terminated": {"exitCode": 2, "reason": "Error", "message": LOG}}


def crashed(log: str) -> dict[str, Any]:
    return {"terminated": {"exitCode": 1, "reason": "Error", "message": log}}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (pod(), None),
        ({"metadata": {}}, None),
        (pod(state={"waiting": {"reason": "ContainerCreating"}}), None),
        (
            pod(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}),
            Problem("ImagePullFailed", "no such image"),
        ),
        (
            pod(conditions=[{"type": "PodScheduled", "reason": "Unschedulable", "message": "0/3 nodes\n fit"}]),
            Problem("Unschedulable", "0/3 nodes fit"),
        ),
        (pod(state={"waiting": {"reason": "CrashLoopBackOff"}}, last=CRASHED), Problem("CrashLoop", SAID)),
        (pod(state=CRASHED), Problem("CrashLoop", SAID)),
        (
            pod(state={"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
            Problem("CrashLoop", "exit code 137, OOMKilled"),
        ),
        (pod(state={"terminated": {"exitCode": 0}}), None),
        (
            pod(state={"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}}),
            Problem("PodConfigError", 'secret "x" not found'),
        ),
        (
            pod(state={"waiting": {"reason": "RunContainerError", "message": 'invalid variable "A=s3cret"'}}),
            Problem("PodConfigError", "RunContainerError: see kubectl describe of the pod"),
        ),
        (pod(state=CRASHED, deletionTimestamp="2026-01-01T00:00:00Z"), None),
    ],
)
def test_the_cause_is_named(given: dict[str, Any], problem: Problem | None) -> None:
    assert problem_of(given) == problem


def test_long_messages_are_cut() -> None:
    problem = problem_of(pod(state={"waiting": {"reason": "ErrImagePull", "message": "x" * 1000}}))
    assert problem is not None
    assert len(problem.message) == 300


@pytest.mark.parametrize(
    "line",
    [
        "ValueError: s3cret",
        "s3cret [setting_invalid S3CRET]",
        "s3cret [s3cret SYMBOLS]",
        "[setting_invalid SYMBOLS] s3cret",
        "[setting_invalid SYMBOLS s3cret]",
        "a [setting_invalid]\ns3cret",
    ],
)
def test_a_log_reaches_nobody_but_in_the_words_of_the_services(line: str) -> None:
    """Readers of a MarketStream may have no right to read Secrets, or logs that quote one."""
    assert problem_of(pod(state=crashed(line))) == Problem("CrashLoop", "exit code 1: see the log of the pod")
