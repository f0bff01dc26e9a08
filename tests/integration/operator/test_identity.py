"""Several operators in one namespace: each MarketStream has one of them, and nobody is fought."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from marketstream_operator.cluster.breaker import MOST
from marketstream_operator.names import MADE_BY

from tests.harness.operator.playing import settle
from tests.harness.operator.running import DEPLOYMENTS, STREAMS, Cluster, RunningOperator, until

EVENTS = "/api/v1/namespaces/{}/events"


class Operators:
    """Starts operators for the test's namespace, each with a Lease of its own."""

    def __init__(self, cluster: Cluster, directory: Path, stack: AsyncExitStack) -> None:
        self._cluster, self._directory, self._stack = cluster, directory, stack

    async def start(self, lease: str, **settings: str) -> RunningOperator:
        environment = {"LEASE_NAME": lease, "RESYNC_S": "5", "SERVICES_IMAGE": f"services:{lease}", **settings}
        one = RunningOperator(self._directory, self._cluster.api.kubeconfig(), self._cluster.namespace, **environment)
        await self._stack.enter_async_context(one)
        await one.leading()
        return one


@pytest.fixture
async def operators(connected_to_nobody: Cluster, tmp_path: Path) -> AsyncIterator[Operators]:
    async with AsyncExitStack() as stack:
        yield Operators(connected_to_nobody, tmp_path, stack)


async def made_by(cluster: Cluster, stream: str = "") -> set[str]:
    """Return the Leases whose operators have made the Deployments."""
    found = (await cluster.deployments(stream)).values()
    return {one["metadata"]["annotations"].get(MADE_BY, "").removeprefix(f"{cluster.namespace}/") for one in found}


async def templates(cluster: Cluster) -> dict[str, Any]:
    return {name: one["spec"]["template"] for name, one in (await cluster.deployments()).items()}


async def has_event(cluster: Cluster, stream: str, reason: str, words: str = "") -> None:
    async def it_has() -> bool:
        found = (await cluster.get(EVENTS))["items"]
        said = [(one["involvedObject"]["name"], one["reason"]) for one in found if words in one["message"]]
        return (stream, reason) in said

    await until(it_has)


async def test_a_second_operator_changes_nothing_and_says_whose_the_objects_are(
    connected_to_nobody: Cluster, operators: Operators
) -> None:
    cluster = connected_to_nobody
    first = await operators.start("first")
    await cluster.stream("majors", ["AAA", "BBB"])
    await cluster.has_deployments("majors", 4)
    await settle(cluster)
    before = await templates(cluster)
    second = await operators.start("second")
    await has_event(cluster, "majors", "OtherOperator", f"belong to the operator {cluster.namespace}/first")
    await cluster.says("majors", "Ready", "False", "KafkaUnavailable")  # corrected by the operator that serves it
    reconciles = await second.metric("marketstream_operator_reconciles_total")

    async def resynced_twice() -> bool:
        return await second.metric("marketstream_operator_reconciles_total") >= reconciles + 2

    await until(resynced_twice)
    assert await templates(cluster) == before
    assert (await cluster.condition("majors", "Ready"))[1] == "KafkaUnavailable", "it is not said again and again"
    assert await second.metric("marketstream_operator_other_operator") == 1
    assert await first.metric("marketstream_operator_other_operator") == 0


async def test_of_two_that_see_a_new_stream_one_serves_it(connected_to_nobody: Cluster, operators: Operators) -> None:
    cluster = connected_to_nobody
    await operators.start("first")
    await operators.start("second")
    for number in range(8):
        await cluster.stream(f"s{number}", [f"S{number}USDT"])
    for number in range(8):
        await cluster.has_deployments(f"s{number}", 2)
    await asyncio.sleep(12)  # two resyncs
    for number in range(8):
        owners = await made_by(cluster, f"s{number}")
        assert len(owners) == 1
        status = (await cluster.get(STREAMS, f"s{number}"))["status"]
        assert status["operator"] == f"{cluster.namespace}/{owners.pop()}"
    assert {one["metadata"]["generation"] for one in (await cluster.deployments()).values()} == {1}


async def test_a_person_hands_the_objects_over_with_the_command_in_the_status(
    connected_to_nobody: Cluster, operators: Operators
) -> None:
    cluster = connected_to_nobody
    first = await operators.start("first")
    await cluster.stream("majors", ["AAA"])
    await cluster.has_deployments("majors", 2)
    await first.end()
    await operators.start("second")
    message = await cluster.says("majors", "Ready", "False", "OtherOperator")
    for condition, verdict in (("Degraded", "True"), ("SpecValid", "Unknown"), ("Fresh", "Unknown")):
        await cluster.says("majors", condition, verdict, "OtherOperator")
    assert await made_by(cluster) == {"first"}
    command = message.partition("run: kubectl ")[2]
    await cluster.api.kubectl(*command.split())

    async def taken_over() -> bool:
        return await made_by(cluster) == {"second"}

    await until(taken_over)
    images = {one["spec"]["containers"][0]["image"] for one in (await templates(cluster)).values()}
    assert images == {"services:second"}
    await cluster.says("majors", "SpecValid", "True", "Valid")


async def test_a_class_selects_the_operator(connected_to_nobody: Cluster, operators: Operators) -> None:
    cluster = connected_to_nobody
    await operators.start("first")
    await operators.start("second", CLASS_NAME="blue")
    await cluster.stream("plain", ["AAA"])
    await cluster.stream("coloured", ["AAA"], className="blue")
    await cluster.stream("nobodys", ["AAA"], className="red")
    await cluster.has_deployments("plain", 2)
    await cluster.has_deployments("coloured", 2)
    assert await made_by(cluster, "plain") == {"first"}
    assert await made_by(cluster, "coloured") == {"second"}
    for stream in ("plain", "coloured"):
        await cluster.says(stream, "SpecValid", "True", "Valid")
    await cluster.change("plain", className="blue")
    await cluster.says("plain", "Ready", "False", "OtherOperator", 20, words=f"{cluster.namespace}/first")
    await asyncio.sleep(12)  # two resyncs
    assert (await cluster.condition("plain", "Ready"))[1] == "OtherOperator"
    await cluster.says("nobodys", "Ready", "Unknown", "Pending")
    assert await cluster.deployments("nobodys") == {}


async def test_an_object_that_somebody_keeps_changing_is_left_alone(
    connected_to_nobody: Cluster, operators: Operators
) -> None:
    cluster = connected_to_nobody
    operator = await operators.start("first")
    await cluster.stream("majors", ["AAA"])
    names = await cluster.has_deployments("majors", 2)
    name = min(names)
    edit = {"spec": {"replicas": 3}}

    async def reverted() -> bool:
        return bool((await cluster.get(DEPLOYMENTS, name))["spec"]["replicas"] == 1)

    for _ in range(MOST):
        await cluster.patch(DEPLOYMENTS, name, edit)
        await until(reverted)
    await cluster.patch(DEPLOYMENTS, name, edit)
    await cluster.says("majors", "Degraded", "True", "WrittenTooOften", words=name)
    await has_event(cluster, "majors", "WrittenTooOften", name)
    assert (await cluster.get(DEPLOYMENTS, name))["spec"]["replicas"] == 3
    assert await operator.metric("marketstream_operator_writes_stopped_total") >= 1
    await operator.says("object keeps being changed, left alone")
    await cluster.change("majors", producer={"logLevel": "debug"}, processor={"logLevel": "debug"})
    await until(reverted)  # a new spec is written all the same
