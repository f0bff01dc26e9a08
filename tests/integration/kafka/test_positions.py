"""Positions of consumer groups, read from a real Kafka."""

import asyncio

import pytest
from marketstream.kafka.admin import ensure_topics
from marketstream.kafka.errors import BrokerUnavailableError
from marketstream.kafka.positions import Position, group_positions
from marketstream.local.kafka import KafkaServer
from marketstream.settings import Settings


@pytest.mark.parametrize(
    ("position", "is_at_end"),
    [
        (Position(None, 0), True),
        (Position(None, 1), False),
        (Position(0, 0), True),
        (Position(4, 5), False),
        (Position(5, 5), True),
        (Position(6, 5), True),
    ],
)
def test_a_group_is_at_the_end_when_nothing_is_left_to_process(position: Position, is_at_end: bool) -> None:
    assert position.is_at_end is is_at_end


async def test_a_group_that_never_committed_has_no_position(kafka: KafkaServer, topic_prefix: str) -> None:
    settings = Settings(kafka_bootstrap=kafka.address)
    await ensure_topics(settings, [f"{topic_prefix}.x.a"])
    positions = await group_positions(settings, f"{topic_prefix}-group", [f"{topic_prefix}.x.a"])
    assert positions == {f"{topic_prefix}.x.a": Position(None, 0)}


async def test_a_missing_topic_or_kafka_is_an_error_in_time(kafka: KafkaServer, topic_prefix: str) -> None:
    async with asyncio.timeout(30):
        for settings in (Settings(kafka_bootstrap=kafka.address), Settings(kafka_bootstrap="127.0.0.1:1")):
            with pytest.raises(BrokerUnavailableError, match="cannot read the positions of consumer group g"):
                await group_positions(settings, "g", [f"{topic_prefix}.x.missing"], limit_s=2.0)
