"""Reading topics as a bystander: without a consumer group, so that nothing of the pipeline notices."""

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
"""Seconds for which Kafka may take to answer at first."""


class Stored(NamedTuple):
    """One record as it stands in its topic, not decoded."""

    topic: str
    offset: int
    data: bytes


async def tail(
    settings: Settings, *, exchange: str | None, symbols: Collection[str], from_start: bool
) -> AsyncGenerator[Stored]:
    """The records of the topics of `symbols` (all when none is given) on `exchange` (any when None), as they come.

    With `from_start` the records that the topics already hold come first. Order holds within a topic only, and topics
    that are made later are not followed. Raises TopicMissingError when there is no such topic,
    BrokerUnavailableError when Kafka is away.
    """
    consumer = AIOKafkaConsumer(**connection(settings), group_id=None, enable_auto_commit=False)
    try:
        await _assign(consumer, settings.topic_prefix, exchange, symbols, from_start=from_start)
        async for message in consumer:
            yield Stored(message.topic, message.offset, message.value or b"")
    except (KafkaError, TimeoutError) as error:
        raise BrokerUnavailableError(
            f"Kafka at {settings.kafka_bootstrap} is away: {error or 'no answer in time'}"
        ) from error
    finally:
        await consumer.stop()


def matching(topics: Iterable[str], prefix: str, exchange: str | None, symbols: Collection[str]) -> list[str]:
    """Those of `topics` that hold trades of `exchange` (any when None) and `symbols` (any when empty), by name."""
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
            known = ", ".join(matching(topics, prefix, None, ())) or "none yet"
            wanted = " or ".join(symbols) or "any symbol"
            raise TopicMissingError(f"there is no topic of {wanted} on {exchange or 'any exchange'}; topics: {known}")
        partitions = [TopicPartition(topic, 0) for topic in chosen]
        consumer.assign(partitions)
        seek = consumer.seek_to_beginning if from_start else consumer.seek_to_end
        await seek(*partitions)
