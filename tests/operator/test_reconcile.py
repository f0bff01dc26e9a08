"""What becomes of a MarketStream, on a real API server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.operator.running import STREAMS, Cluster, RunningOperator


@pytest.fixture
async def operator(connected: Cluster, topic_prefix: str, tmp_path: Path) -> AsyncIterator[RunningOperator]:
    kubeconfig = connected.api.kubeconfig()
    running = RunningOperator(tmp_path, kubeconfig, connected.namespace, TOPIC_PREFIX=topic_prefix, RESYNC_S="5")
    async with running:
        await running.leading()
        yield running


async def test_a_stream_gets_a_producer_and_a_processor_for_each_symbol(
    connected: Cluster, operator: RunningOperator
) -> None:
    await connected.stream("majors", ["BTCUSDT", "ETHUSDT"])
    found = await connected.has_deployments("majors", 4)
    roles = sorted((each["metadata"]["labels"]["app.kubernetes.io/component"]) for each in found.values())
    assert roles == ["processor", "processor", "producer", "producer"]
    await connected.says("majors", "SpecValid", "True", "Valid")
    await connected.says("majors", "KafkaReady", "True", "TopicsReady")
    await connected.says("majors", "Ready", "False", "NotAllReady")
    status = (await connected.get(STREAMS, "majors"))["status"]
    assert status["pairs"] == {"desired": 2, "ready": 0, "summary": "0/2"}
