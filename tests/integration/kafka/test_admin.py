"""Topics in a real Kafka."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from marketstream.kafka.admin import ensure_topics
from marketstream.kafka.client import connection
from marketstream.kafka.errors import BrokerRefusedError, BrokerUnavailableError
from marketstream.local.kafka import KafkaServer
from marketstream.settings import Settings


@pytest.fixture
def settings(kafka: KafkaServer) -> Settings:
    return Settings(kafka_bootstrap=kafka.address, topic_retention_ms=3_600_000)


async def test_topics_are_created_once_with_their_retention(settings: Settings, topic_prefix: str) -> None:
    topics = [f"{topic_prefix}.x.a", f"{topic_prefix}.x.b"]
    await asyncio.gather(*(ensure_topics(settings, topics) for _ in range(3)))
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        described = await admin.describe_topics(topics)
        (configs,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topics[0])])
    finally:
        await admin.close()
    assert [len(topic["partitions"]) for topic in described] == [1, 1]
    assert {entry[0]: entry[1] for entry in configs.resources[0][4]}["retention.ms"] == "3600000"


async def test_a_topic_of_more_partitions_is_a_clear_error(settings: Settings, topic_prefix: str) -> None:
    topic = f"{topic_prefix}.x.wide"
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 3, 1)])
    finally:
        await admin.close()
    with pytest.raises(BrokerRefusedError, match="has 3 partitions: expected 1"):
        await ensure_topics(settings, [topic])


async def test_a_name_that_kafka_refuses_is_a_clear_error(settings: Settings) -> None:
    with pytest.raises(BrokerRefusedError, match="refuses the topic 'no such name': InvalidTopicError"):
        await ensure_topics(settings, ["no such name"])


async def test_an_unreachable_kafka_is_an_error_in_time(settings: Settings) -> None:
    with pytest.raises(BrokerUnavailableError, match=r"within 0\.5 s at 127\.0\.0\.1:1"):
        await ensure_topics(settings.but(kafka_bootstrap="127.0.0.1:1"), ["t"], limit_s=0.5)
