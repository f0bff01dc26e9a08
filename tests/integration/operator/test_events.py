"""Events in a real API server and in kubectl, with no more rights than the operator has."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from marketstream_operator.kube.api import Api
from marketstream_operator.kube.events import Recorder
from marketstream_operator.kube.login import configuration

from tests.harness.operator.apiserver import ApiServer
from tests.harness.operator.running import until

RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces"
EXPECTED_LIMIT_S = 10.0


@pytest.fixture
async def kubeconfig(apiserver: ApiServer, namespace: str) -> Path:
    """An API client of an account that may create and patch Events, and nothing else."""
    user = await apiserver.service_account(namespace, "operator")
    rules = [{"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]}]
    await apiserver.request("POST", f"{RBAC}/{namespace}/roles", {"metadata": {"name": "operator"}, "rules": rules})
    binding = {
        "metadata": {"name": "operator"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"},
        "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": "operator"}],
    }
    await apiserver.request("POST", f"{RBAC}/{namespace}/rolebindings", binding)
    await until(lambda: apiserver.allowed(user, namespace, "create", "events"))
    return apiserver.kubeconfig(user)


@pytest.fixture
async def about(apiserver: ApiServer, namespace: str) -> dict[str, str]:
    """An object that Events refer to."""
    made = await apiserver.request(
        "POST", f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "majors"}}
    )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "namespace": namespace,
        "name": "majors",
        "uid": made["metadata"]["uid"],
    }


@contextlib.asynccontextmanager
async def recording(kubeconfig: Path, instance: str = "pod-0") -> AsyncIterator[Recorder]:
    """A recorder that sends its Events within this block."""
    api = Api(await configuration(kubeconfig, None), may_write=lambda: True)
    recorder = Recorder(api, "marketstream-operator", instance)
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        await asyncio.wait([task])
        await api.close()


async def events_when(apiserver: ApiServer, namespace: str, **counts: int) -> dict[str, Any]:
    """Return the Events by reason, once each has the count that is expected."""
    events: dict[str, Any] = {}
    async with asyncio.timeout(EXPECTED_LIMIT_S):
        while {reason: event["count"] for reason, event in events.items()} != counts:
            found = (await apiserver.request("GET", f"/api/v1/namespaces/{namespace}/events"))["items"]
            events = {event["reason"]: event for event in found}
            assert len(events) == len(found)
            await asyncio.sleep(0.05)
    return events


async def test_kubectl_shows_what_happened_how_often_and_who_says_so(
    apiserver: ApiServer, namespace: str, kubeconfig: Path, about: dict[str, str]
) -> None:
    async with recording(kubeconfig) as recorder:
        recorder.record(about, "Warning", "KafkaAway", "no broker of kafka:9092 answers")
        await events_when(apiserver, namespace, KafkaAway=1)
        recorder.record(about, "Normal", "Ready", "2 of 2 pairs are ready")
        await asyncio.sleep(1)  # times of Events are whole seconds
        recorder.record(about, "Warning", "KafkaAway", "no broker of kafka:9092 answers")
        first = await events_when(apiserver, namespace, KafkaAway=2, Ready=1)
    async with recording(kubeconfig, "pod-1") as recorder:
        recorder.record(about, "Warning", "KafkaAway", "no broker of kafka:9092 answers")
        after_restart = await events_when(apiserver, namespace, KafkaAway=3, Ready=1)
    kafka = after_restart["KafkaAway"]
    assert kafka["metadata"]["uid"] == first["KafkaAway"]["metadata"]["uid"]
    assert kafka["firstTimestamp"] < kafka["lastTimestamp"]
    assert kafka["reportingInstance"] == "pod-1"

    described = await apiserver.kubectl("describe", "configmap", "majors", "--namespace", namespace)
    shown = described[described.index("Events:") :]
    print(shown)
    warning = next(line.split(maxsplit=2) for line in shown.splitlines() if "KafkaAway" in line)
    assert warning[:2] == ["Warning", "KafkaAway"]
    assert "(x3 over " in warning[2]
    assert warning[2].endswith("marketstream-operator  no broker of kafka:9092 answers")
    listed = await apiserver.kubectl("events", "--for", "configmap/majors", "--namespace", namespace)
    assert "ConfigMap/majors" in listed


async def test_events_of_an_object_with_a_long_name_and_a_long_message_are_taken(
    apiserver: ApiServer, namespace: str, kubeconfig: Path, about: dict[str, str]
) -> None:
    async with recording(kubeconfig) as recorder:
        recorder.record({**about, "name": "x" * 235 + "." + "y" * 17}, "Normal", "Ready", "ü" * 5_000)
        await events_when(apiserver, namespace, Ready=1)


async def test_an_event_that_is_gone_is_made_again(
    apiserver: ApiServer, namespace: str, kubeconfig: Path, about: dict[str, str]
) -> None:
    async with recording(kubeconfig) as recorder:
        for _ in range(2):
            recorder.record(about, "Normal", "Ready", "yes")
            await asyncio.sleep(0.2)
        await events_when(apiserver, namespace, Ready=2)
        await apiserver.request("DELETE", f"/api/v1/namespaces/{namespace}/events")
        recorder.record(about, "Normal", "Ready", "yes")
        await events_when(apiserver, namespace, Ready=1)


async def test_refused_events_disturb_nobody(apiserver: ApiServer, namespace: str, about: dict[str, str]) -> None:
    user = await apiserver.service_account(namespace, "nobody")
    async with recording(apiserver.kubeconfig(user)) as recorder:
        recorder.record(about, "Normal", "Ready", "yes")
        await asyncio.sleep(0.5)
    assert await events_when(apiserver, namespace) == {}
