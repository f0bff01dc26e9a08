"""Reading topics without a consumer group, so that the pipeline is not disturbed."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterable
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from marketstream.kafka.client import connection
from marketstream.kafka.errors import BrokerUnavailableError, TopicMissingError
from marketstream.kafka.topics import topic_name
from marketstream.settings import Settings

START_LIMIT_S: Final = 15
"""Seconds within which Kafka must answer for the first time."""


class Stored(NamedTuple):
    """One record of a topic, not decoded."""

    topic: str
    offset: int
    data: bytes


async def tail(
    settings: Settings, *, exchange: str | None, symbols: Collection[str], from_start: bool
) -> AsyncGenerator[Stored]:
    """Yield the records of the topics of `symbols` (all if empty) on `exchange` (any if None), as they arrive.

    With `from_start`, the records that the topics already hold come first. Records are in order within a topic only,
    and topics that are created later are not read. Raises TopicMissingError when there is no such topic, and
    BrokerUnavailableError when Kafka is unavailable.
    """
    consumer = AIOKafkaConsumer(**connection(settings), group_id=None, enable_auto_commit=False)
    try:
        await _assign(consumer, settings.topic_prefix, exchange, symbols, from_start=from_start)
        async for message in consumer:
            yield Stored(message.topic, message.offset, message.value or b"")
    except (KafkaError, TimeoutError) as error:
        raise BrokerUnavailableError(
            f"Kafka at {settings.kafka_bootstrap} is unavailable: {error or 'no answer in time'}"
        ) from error
    finally:
        await consumer.stop()


def matching(topics: Iterable[str], prefix: str, exchange: str | None, symbols: Collection[str]) -> list[str]:
    """Return those of `topics` that hold trades of `exchange` (any if None) and `symbols` (any if empty), sorted."""
    wanted = {topic_name(prefix, "", symbol).removeprefix(f"{prefix}..".lower()) for symbol in symbols}
    found = []
    for topic in sorted(topics):
        if not topic.startswith(f"{prefix}.".lower()):
            continue
        of_exchange, _, of_symbol = topic[len(prefix) + 1 :].partition(".")
        if (exchange is None or of_exchange == exchange.lower()) and (not wanted or of_symbol in wanted):
            found.append(topic)
    return found


async def _assign(
    consumer: AIOKafkaConsumer, prefix: str, exchange: str | None, symbols: Collection[str], *, from_start: bool
) -> None:
    async with asyncio.timeout(START_LIMIT_S):
        await consumer.start()
        topics = await consumer.topics()
        chosen = matching(topics, prefix, exchange, symbols)
        if not chosen:
            known = ", ".join(matching(topics, prefix, None, ())) or "none"
            wanted = " or ".join(symbols) or "any symbol"
            raise TopicMissingError(
                f"there is no topic for {wanted} on {exchange or 'any exchange'}; existing topics: {known}"
            )
        partitions = [TopicPartition(topic, 0) for topic in chosen]
        consumer.assign(partitions)
        seek = consumer.seek_to_beginning if from_start else consumer.seek_to_end
        await seek(*partitions)
