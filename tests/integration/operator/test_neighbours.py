"""A tenant whose servers do not answer delays nobody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from marketstream_operator.reconcile.topics import KAFKA_S

from tests.harness.operator.running import Cluster
from tests.integration.operator.conftest import Operate

SILENT = 6
WORKERS = 2


@pytest.fixture
async def silent_addresses() -> AsyncIterator[list[str]]:
    """Servers that accept connections and never answer, as behind a firewall that drops packets."""
    never = asyncio.Event()

    async def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()
        writer.close()

    async with AsyncExitStack() as stack:
        addresses = []
        for _ in range(SILENT):
            server = await asyncio.start_server(accept, "127.0.0.1", 0)
            stack.push_async_callback(server.wait_closed)
            stack.callback(server.close)
            addresses.append(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        yield addresses
        never.set()


async def test_streams_whose_kafka_is_silent_hold_no_worker(
    connected: Cluster, operate: Operate, silent_addresses: list[str]
) -> None:
    operator = await operate(WORKERS=str(WORKERS))
    for number, address in enumerate(silent_addresses):
        name = f"silent-{number}"
        await connected.connect(address, "postgresql://nobody@127.0.0.1:1/none", f"redis://{address}/0", name=name)
        await connected.stream(name, [f"S{number}USDT"], connectionSecretRef={"name": name})
    await connected.stream("healthy", ["AAA"])
    await connected.has_deployments("healthy", 2)
    await connected.says("healthy", "KafkaReady", "True", "TopicsReady")
    for number in range(SILENT):
        await connected.says(f"silent-{number}", "KafkaReady", "False", "KafkaUnavailable")
    await connected.change("healthy", symbols=["AAA", "BBB"])
    await connected.has_deployments("healthy", 4)
    await connected.says("healthy", "KafkaReady", "True", "TopicsReady")
    seconds = await operator.metric("marketstream_operator_reconcile_seconds_sum")
    count = await operator.metric("marketstream_operator_reconcile_seconds_count")
    assert count > 2 * SILENT
    assert seconds < KAFKA_S, f"{count:.0f} reconciles have waited for Kafka: {seconds:.1f} s"
