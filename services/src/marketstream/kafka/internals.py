"""The private attributes of aiokafka's clients, where aiokafka has no public way. No other module uses them."""

import asyncio
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from marketstream.telemetry import logger

log = logger(__name__)

DISCARD_S: Final = 0.5
"""Seconds for closing each of the two parts of a client. Together with CLOSE_S they fit into the time of a stop."""


def metadata(consumer: Any) -> Any:
    """Return what a consumer knows of the cluster, without a request: its own topics() asks Kafka each time."""
    return consumer._client.cluster  # noqa: SLF001


def knows_leader(client: Any, topic: str) -> bool:
    """Return True if the client knows the leader of the topic, so that handing over a record needs no request."""
    return client.client.cluster.leader_for_partition(TopicPartition(topic, 0)) not in (None, -1)


def withdraw(client: Any, topic: str, error: KafkaError) -> None:
    """Take back the unsent batches of the topic, for which the client would request the topic forever.

    A batch that is already sent ends by itself, with or without an answer.
    """
    accumulator, partition = client._message_accumulator, TopicPartition(topic, 0)  # noqa: SLF001
    while accumulator._batches.get(partition):  # noqa: SLF001
        accumulator._pop_batch(partition).failure(error)  # noqa: SLF001


async def discard(client: Any) -> None:
    """Disconnect without waiting for unsent records.

    aiokafka's own stop() waits for them, forever if the broker is unavailable (aio-libs/aiokafka issue 1101).
    """
    client._closed = True  # noqa: SLF001
    for part in (client._sender, client.client):  # noqa: SLF001
        try:
            async with asyncio.timeout(DISCARD_S):
                await part.close()
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("Kafka client did not close cleanly", error=repr(error))


def is_broken(client: Any) -> bool:
    """Return True if the client's sending task has ended: such a client accepts records, but sends none."""
    task = client._sender.sender_task  # noqa: SLF001
    return task is not None and task.done()
