"""The positions of a consumer group, read from outside: the proof that a topic has been read to its end."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from marketstream.kafka.client import connection
from marketstream.kafka.errors import BrokerUnavailableError
from marketstream.settings import Settings


class Position(NamedTuple):
    """A group's position in a topic: its committed offset (None if absent), and the offset after the last record."""

    committed: int | None
    end: int

    @property
    def is_at_end(self) -> bool:
        """Return True if every record has been processed. A topic that never held a record is at its end."""
        return self.end == 0 if self.committed is None else self.committed >= self.end


async def group_positions(
    settings: Settings, group: str, topics: Iterable[str], limit_s: float = 10.0
) -> dict[str, Position]:
    """Return the position of the consumer group in each topic, without joining the group or disturbing its members.

    The ends of the topics are read first, and the committed offsets afterwards. A committed offset that has reached
    such an end proves that all records up to it are processed.

    Raises BrokerUnavailableError when Kafka does not answer within `limit_s` seconds or a topic does not exist;
    SettingsError and BrokerRefusedError as `connection` does.
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
            f"cannot read the positions of consumer group {group} from Kafka at {settings.kafka_bootstrap}: "
            f"{error or f'no answer within {limit_s:g} s'}"
        ) from error
    finally:
        await consumer.stop()
