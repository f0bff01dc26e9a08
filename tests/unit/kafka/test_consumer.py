"""The problems of topics as a consumer notices them, with a client that does what the test says; in virtual time."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError
from marketstream.kafka import consumer as module
from marketstream.kafka.consumer import DENIED_S, Consumer
from marketstream.kafka.topics import TROUBLED_S, topic_problem
from marketstream.settings import Settings

from tests.unit.virtual import VirtualClock, virtually

WELL, ILL = "trades.x.well", "trades.x.ill"


@pytest.fixture(autouse=True)
def virtual_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", VirtualClock)


class Client:
    """Holds both topics, and refuses reads of those in `denied` unless they are paused."""

    def __init__(self) -> None:
        self.denied: set[str] = set()
        self.paused: set[str] = set()
        self.refusals = 0
        self.known: set[str] = {WELL, ILL}
        self.unauthorized: set[str] = set()
        cluster = SimpleNamespace(topics=lambda: self.known, unauthorized_topics=self.unauthorized)
        self._client = SimpleNamespace(cluster=cluster)

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(WELL, 0), TopicPartition(ILL, 0)}

    def pause(self, partition: TopicPartition) -> None:
        self.paused.add(partition.topic)

    def resume(self, partition: TopicPartition) -> None:
        self.paused.discard(partition.topic)

    async def getmany(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        assert max_records > 0
        await asyncio.sleep(timeout_ms / 1000)
        for topic in self.denied - self.paused:
            self.refusals += 1
            raise TopicAuthorizationFailedError(topic)
        return {}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client()
    monkeypatch.setattr(module, "AIOKafkaConsumer", lambda **_: client)
    return client


def new_consumer() -> Consumer:
    settings = Settings(kafka_bootstrap="kafka:9092")
    return Consumer(settings, [WELL, ILL], assigned=lambda _: None, revoked=lambda _: None)


async def poll_for(consumer: Consumer, seconds: float) -> None:
    end_s = VirtualClock.monotonic() + seconds
    while VirtualClock.monotonic() < end_s:
        await consumer.poll()


@virtually
async def test_a_topic_that_stays_denied_is_reported_with_its_age(client: Client) -> None:
    consumer = new_consumer()
    client.denied = {ILL}
    await poll_for(consumer, TROUBLED_S + 3)
    for age_s in range(int(TROUBLED_S), 100):
        await poll_for(consumer, 1)
        problems = consumer.problems()
        assert problems[ILL][0] >= age_s
        assert topic_problem(problems)
    client.denied = set()
    await poll_for(consumer, 2 * DENIED_S)
    assert consumer.problems() == {}
    assert client.paused == set()


@virtually
async def test_a_denied_topic_is_tried_again_seldom(client: Client) -> None:
    consumer = new_consumer()
    client.denied = {ILL}
    await poll_for(consumer, 10 * DENIED_S)
    assert 5 <= client.refusals <= 11


@virtually
async def test_a_topic_that_may_not_be_described_is_not_reported_as_missing(client: Client) -> None:
    consumer = new_consumer()
    client.known.remove(ILL)
    await poll_for(consumer, 1)
    assert consumer.problems()[ILL][1] == "Kafka does not have the topic"
    client.unauthorized.add(ILL)
    await poll_for(consumer, 2)
    assert consumer.problems()[ILL][1] == "this user may not describe the topic"
