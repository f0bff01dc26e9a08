"""The deletion of a MarketStream leaves nothing behind, with or without a running operator."""

from tests.harness.operator.apiserver import ApiServer
from tests.harness.operator.playing import TOPICS
from tests.harness.operator.running import DEPLOYMENTS, STREAMS, Cluster, until
from tests.integration.operator.conftest import Operate

GARBAGE_S = 60.0


async def finalizers(cluster: Cluster) -> list[str]:
    """Return the finalizers of all objects that the operator has created or seen."""
    found = [each for path in (STREAMS, DEPLOYMENTS, TOPICS) for each in (await cluster.get(path))["items"]]
    return [finalizer for each in found for finalizer in each["metadata"].get("finalizers", ())]


async def test_deleting_with_the_operator_down_leaves_nothing_stuck(
    connected: Cluster, operate: Operate, strimzi: None, apiserver: ApiServer
) -> None:
    """Garbage collection deletes the children, including topics that are not to be kept."""
    running = await operate(KAFKA_MODE="strimzi", KAFKA_CLUSTER="main")
    await connected.stream("majors", ["BTCUSDT", "ETHUSDT"])
    await connected.stream("kept", ["SOLUSDT"], retention={"onDelete": "keep"})
    await connected.has_deployments("majors", 4)
    await connected.has_deployments("kept", 2)
    await connected.says("majors", "KafkaReady", "False", "TopicsNotReady")
    await connected.says("kept", "KafkaReady", "False", "TopicsNotReady")
    assert await finalizers(connected) == []
    await running.end()
    for stream in ("majors", "kept"):
        await connected.delete(STREAMS, stream)
    assert (await connected.get(STREAMS))["items"] == []

    async def all_gone() -> bool:
        return not await connected.deployments() and len((await connected.get(TOPICS))["items"]) == 1

    async with apiserver.controller_manager("garbage-collector-controller"):
        await until(all_gone, GARBAGE_S)
    (topic,) = (await connected.get(TOPICS))["items"]
    assert topic["metadata"]["name"].endswith(".solusdt")


async def test_a_deletion_that_waits_for_its_dependents_does_not_wait_for_ours(
    connected: Cluster, operate: Operate, apiserver: ApiServer
) -> None:
    """Deletion in the foreground, as by kubectl delete --cascade=foreground and by Argo CD."""
    await operate()
    await connected.stream("majors", ["BTCUSDT"])
    await connected.has_deployments("majors", 2)
    async with apiserver.controller_manager("garbage-collector-controller"):
        path = f"{STREAMS.format(connected.namespace)}/majors"
        await connected.api.request("DELETE", path, {"propagationPolicy": "Foreground"})

        async def all_gone() -> bool:
            return not await connected.deployments() and not (await connected.get(STREAMS))["items"]

        await until(all_gone, GARBAGE_S)
