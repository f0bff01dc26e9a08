"""The projections of objects: the fields that the operator keeps of each."""

from typing import Any

import pytest
from marketstream_operator.cluster.projections import Deployment, Topic, child_of, managed_fields
from marketstream_operator.kinds import DEPLOYMENT, KAFKA_TOPIC, POD, Kind

from tests.unit.operator.cluster.raw import child, projection


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_has_ended_is_none(phase: str) -> None:
    """An evicted pod stays beside its successor for days."""
    assert child_of(POD, child(status={"phase": phase})) is None


TIMED_OUT = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}


@pytest.mark.parametrize(
    ("condition", "observed_generation", "is_stuck"),
    [
        (TIMED_OUT, 1, True),
        (TIMED_OUT, 0, False),  # of the version before
        (TIMED_OUT | {"reason": "FailedCreate"}, 1, False),
        ({"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}, 1, False),
    ],
)
def test_a_rollout_is_stuck_when_kubernetes_says_so_of_the_newest_version(
    condition: dict[str, str], observed_generation: int, is_stuck: bool
) -> None:
    """The old pods stay meanwhile: it is ready, but not settled."""
    counts = {"replicas": 2, "updatedReplicas": 1, "availableReplicas": 1}
    available = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}
    status = {"observedGeneration": observed_generation, "conditions": [available, condition], **counts}
    found = projection(DEPLOYMENT, child(status=status))
    assert isinstance(found, Deployment)
    assert (found.is_settled, found.is_ready, found.is_stuck) == (False, True, is_stuck)


def test_a_rollout_is_settled_when_every_pod_is_of_the_newest_version_and_available() -> None:
    counts = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "observedGeneration": 1}
    found = projection(DEPLOYMENT, child(status=counts))
    assert isinstance(found, Deployment)
    assert (found.is_settled, found.is_ready) == (True, True)
    paused = projection(DEPLOYMENT, child(status={"observedGeneration": 1}, spec={"replicas": 0}))
    assert isinstance(paused, Deployment)
    assert (paused.is_settled, paused.is_ready) == (True, False)


@pytest.mark.parametrize("kind", [POD, DEPLOYMENT])
@pytest.mark.parametrize("label", ["marketstream.io/stream", "marketstream.io/pair"])
def test_an_object_that_names_no_stream_or_no_pair_is_not_kept(kind: Kind, label: str) -> None:
    raw = child()
    del raw["metadata"]["labels"][label]
    assert child_of(kind, raw) is None


def test_who_manages_an_object_says_nothing_about_its_stream() -> None:
    """Tilt writes its own name there."""
    raw = child()
    before = child_of(POD, raw)
    raw["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "tilt"
    assert child_of(POD, raw) == before


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], (False, "")),
        ([{"type": "Ready", "status": "True"}], (True, "")),
        ([{"type": "Ready", "status": "False", "reason": "KafkaError", "message": "no broker"}], (False, "no broker")),
        ([{"type": "Ready", "status": "False", "reason": "KafkaError"}], (False, "KafkaError")),
        ([{"type": "ReconciliationPaused", "status": "True"}], (False, "")),
    ],
)
def test_a_topic_is_ready_or_has_the_problem_that_strimzi_reports(
    conditions: list[dict[str, str]], expected: tuple[bool, str]
) -> None:
    found = projection(KAFKA_TOPIC, child(status={"conditions": conditions}))
    assert isinstance(found, Topic)
    assert (found.is_ready, found.problem) == expected


def entry(fields: dict[str, Any], **changes: str) -> dict[str, Any]:
    return {"manager": "marketstream-operator", "operation": "Apply", "fieldsV1": fields, **changes}


def managed(*entries: dict[str, Any]) -> str:
    return managed_fields({"managedFields": list(entries)})


def test_only_fields_that_the_operator_has_applied_count_as_managed() -> None:
    ours = entry({"f:spec": {"f:replicas": {}, "f:paused": {}}})
    others = [
        entry({"f:spec": {}}, manager="kubectl"),
        entry({"f:spec": {}}, operation="Update"),
        entry({"f:status": {}}, subresource="status"),
    ]
    assert managed(*others) == ""
    assert managed(*others, ours) == managed(ours) != ""
    assert managed(entry({"f:spec": {"f:paused": {}, "f:replicas": {}}})) == managed(ours), "their order means nothing"
    assert managed(entry({"f:spec": {"f:replicas": {}}})) != managed(ours)
