"""The problem of a pod, by the reports of the kubelet and the scheduler."""

from typing import Any

import pytest
from marketstream_operator.cluster.podproblems import Problem, problem_of


def pod(*, conditions: Any = (), state: Any = None, last: Any = None, **metadata: Any) -> dict[str, Any]:
    container = {"name": "producer", "state": state or {"running": {}}, "lastState": last or {}}
    return {"metadata": metadata, "status": {"conditions": list(conditions), "containerStatuses": [container]}}


LOG = "2026-01-01 starting\nmarketstream producer: Binance does not list NOUSDT: expected symbols such as BTCUSDT\n"
SAID = "marketstream producer: Binance does not list NOUSDT: expected symbols such as BTCUSDT (exit code 2)"
CRASHED = {"terminated": {"exitCode": 2, "reason": "Error", "message": LOG}}


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
        (pod(state=CRASHED, deletionTimestamp="2026-01-01T00:00:00Z"), None),
    ],
)
def test_the_cause_is_named(given: dict[str, Any], problem: Problem | None) -> None:
    assert problem_of(given) == problem


def test_long_messages_are_cut() -> None:
    problem = problem_of(pod(state={"waiting": {"reason": "ErrImagePull", "message": "x" * 1000}}))
    assert problem is not None
    assert len(problem.message) == 300
