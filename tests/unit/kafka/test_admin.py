"""The creation of topics, and the errors for topics that cannot be used."""

import asyncio
from typing import Any, NamedTuple

import pytest
from aiokafka.errors import NoError, UnknownTopicOrPartitionError
from marketstream.kafka import admin as module
from marketstream.kafka.admin import ensure_topics
from marketstream.kafka.errors import BrokerRefusedError, TopicMissingError
from marketstream.kafka.positions import group_positions
from marketstream.settings import Settings

SETTINGS = Settings(kafka_bootstrap="kafka:9092")
MANY = [f"trades.x.symbol{number:04}" for number in range(1_000)]


class Answer(NamedTuple):
    topic_errors: list[tuple[str, int]]


class Kafka:
    """Topics and their numbers of partitions, in the place of Kafka."""

    def __init__(self, **partitions: int) -> None:
        self.partitions = partitions

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def describe_topics(self, topics: list[str]) -> list[dict[str, Any]]:
        return [
            {
                "topic": topic,
                "error_code": (NoError if topic in self.partitions else UnknownTopicOrPartitionError).errno,
                "partitions": [{}] * self.partitions.get(topic, 0),
            }
            for topic in topics
        ]

    async def create_topics(self, topics: list[Any]) -> Answer:
        self.partitions.update({topic.name: 1 for topic in topics})
        return Answer([(topic.name, 0) for topic in topics])


def use(monkeypatch: pytest.MonkeyPatch, kafka: Kafka) -> None:
    monkeypatch.setattr(module, "AIOKafkaAdminClient", lambda **_: kafka)


async def test_an_unusable_topic_does_not_stop_the_creation_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(b=3)
    use(monkeypatch, kafka)
    with pytest.raises(BrokerRefusedError, match="the topic b has 3 partitions"):
        await ensure_topics(SETTINGS, ["a", "b", "c"])
    assert kafka.partitions == {"a": 1, "b": 3, "c": 1}


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, "the topics trades.x.symbol0000 were not ready"),
        (5, "trades.x.symbol0003, trades.x.symbol0004 were not ready"),
        (6, "trades.x.symbol0004 and 1 other were not ready"),
        (1_000, "trades.x.symbol0004 and 995 others were not ready"),
    ],
)
async def test_a_message_names_a_few_topics(monkeypatch: pytest.MonkeyPatch, count: int, said: str) -> None:
    use(monkeypatch, Kafka())
    with pytest.raises(TopicMissingError) as caught:
        await ensure_topics(SETTINGS.but(topic_create=False), MANY[:count], limit_s=0.05)
    assert said in str(caught.value)
    assert "topics do not exist yet: trades.x.symbol0000" in str(caught.value)
    assert len(str(caught.value)) < 500


async def test_without_patience_missing_topics_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Kafka(a=1))
    async with asyncio.timeout(10):
        with pytest.raises(TopicMissingError, match="topics do not exist yet: b"):
            await ensure_topics(SETTINGS.but(topic_create=False), ["a", "b"], limit_s=60, patient=False)


@pytest.mark.parametrize("bootstrap", ["kafka:port", "kafka:", "kafka:9092,[::1", "kafka:99999", "u:s3cret@kafka:9092"])
async def test_an_invalid_kafka_address_is_a_clear_error(bootstrap: str) -> None:
    settings = Settings(kafka_bootstrap=bootstrap)
    with pytest.raises(
        BrokerRefusedError, match="KAFKA_BOOTSTRAP is not valid: expected host:port of the Kafka brokers"
    ):
        await ensure_topics(settings, ["a"], limit_s=1)
    with pytest.raises(
        BrokerRefusedError, match="KAFKA_BOOTSTRAP is not valid: expected host:port of the Kafka brokers"
    ):
        await group_positions(settings, "group", ["a"], limit_s=1)
