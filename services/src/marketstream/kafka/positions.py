"""How far a consumer group has come, seen from outside: what proves that a topic has been read to its end."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from marketstream.kafka.client import connection
from marketstream.kafka.errors import BrokerUnavailableError
from marketstream.settings import Settings


class Position(NamedTuple):
    """Where a group stands in a topic: the offset it has committed (None: never), and that after the last record."""

    committed: int | None
    end: int

    @property
    def is_at_end(self) -> bool:
        """Whether every record has been processed; a topic that never held one has nothing to process."""
        return self.end == 0 if self.committed is None else self.committed >= self.end


async def group_positions(
    settings: Settings, group: str, topics: Iterable[str], limit_s: float = 10.0
) -> dict[str, Position]:
    """Where the consumer group stands in each topic. It does not join the group, so its members notice nothing.

    The ends are asked for first: what is committed afterwards and has reached them, had reached them then. Raises
    BrokerUnavailableError when Kafka does not answer within `limit_s` seconds or lacks a topic, SettingsError.
    """
    partitions = [TopicPartition(topic, 0) for topic in topics]
    consumer = AIOKafkaConsumer(**connection(settings), group_id=group, enable_auto_commit=False)
    try:
        async with asyncio.timeout(limit_s):
            await consumer.start()
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            return {
                partition.topic: Position(await consumer.committed(partition), ends[partition])
                for partition in partitions
            }
    except (KafkaError, OSError, TimeoutError, ValueError) as error:
        raise BrokerUnavailableError(
            f"Kafka at {settings.kafka_bootstrap} does not say how far the group {group} has come: "
            f"{error or f'no answer within {limit_s:g} s'}"
        ) from error
    finally:
        await consumer.stop()
