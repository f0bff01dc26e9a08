"""Clients of Kafka and PostgreSQL, waiting for a condition, and a copy of the embedded servers to kill."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

COPY = """
import asyncio, sys
from pathlib import Path
from marketstream.local.servers import EmbeddedServers

async def main():
    async with EmbeddedServers(Path(sys.argv[1])):
        print("up", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def start_copy(directory: Path) -> asyncio.subprocess.Process:
    """Start another process with the three servers in the directory, which runs until it is killed."""
    copy = await asyncio.create_subprocess_exec(
        sys.executable, "-c", COPY, str(directory), stdout=asyncio.subprocess.PIPE
    )
    assert copy.stdout is not None
    assert await asyncio.wait_for(copy.stdout.readline(), 60) == b"up\n"
    return copy


async def eventually(condition: Callable[[], bool], limit: float = 30.0) -> None:
    """Wait until the condition holds, or fail after `limit` seconds."""
    async with asyncio.timeout(limit):
        while not condition():  # noqa: ASYNC110  the conditions depend on other processes, which set no event
            await asyncio.sleep(0.02)


async def within(limit: float, action: Callable[[], Awaitable[None]]) -> None:
    """Repeat the action until it succeeds. After `limit` seconds, raise its last error."""
    deadline = asyncio.get_running_loop().time() + limit
    while True:
        try:
            return await action()
        except Exception:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.1)


async def query(url: str, statement: str) -> list[asyncpg.Record]:
    """Return the rows of a statement."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close()


async def make_topic(bootstrap: str, topic: str) -> None:
    """Create a topic with one partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def produce(bootstrap: str, topic: str, *values: bytes) -> None:
    """Append records to a topic, and wait for their acknowledgement."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def consume(bootstrap: str, topic: str) -> list[bytes]:
    """Return all records of the only partition of a topic."""
    partition = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        values: list[bytes] = []
        while len(values) < end:
            record = await asyncio.wait_for(consumer.getone(partition), 10)
            values.append(record.value)
        return values
