"""Consumers of a group against a real Kafka."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from marketstream.kafka import consumer
from marketstream.kafka.admin import ensure_topics
from marketstream.kafka.consumer import Consumer, Offsets
from marketstream.kafka.errors import BrokerUnavailableError
from marketstream.kafka.positions import Position, group_positions
from marketstream.kafka.publisher import Publisher
from marketstream.local.kafka import KafkaServer
from marketstream.settings import Settings

LIMIT_S = 60.0


class Member:
    """A member of the group, and the topics that it is assigned."""

    def __init__(self, settings: Settings, topics: list[str]) -> None:
        self.assigned: set[str] = set()
        self.consumer = Consumer(
            settings, topics, assigned=self.assigned.update, revoked=self.assigned.difference_update
        )

    async def read(self, count: int) -> list[tuple[str, int, bytes]]:
        """Return the next records of all topics, as (topic, offset, value)."""
        found: list[tuple[str, int, bytes]] = []
        async with asyncio.timeout(LIMIT_S):
            while len(found) < count:
                for topic, messages in (await self.consumer.poll()).items():
                    found += [(topic, message.offset, message.value) for message in messages]
        return found


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - the group assigns by itself
            await asyncio.sleep(0.05)


@pytest.fixture
def settings(kafka: KafkaServer, topic_prefix: str) -> Settings:
    return Settings(kafka_bootstrap=kafka.address, consumer_group=f"{topic_prefix}-group")


@pytest.fixture
async def topic(settings: Settings, topic_prefix: str) -> str:
    """A topic of five records."""
    topic = f"{topic_prefix}.x.a"
    await ensure_topics(settings, [topic])
    publisher = Publisher(settings)
    await publisher.start()
    answers = [await publisher.send(topic, b"%d" % number) for number in range(5)]
    assert await asyncio.gather(*answers) == [True] * 5
    await publisher.close()
    return topic


@pytest.fixture
async def member(settings: Settings, topic: str) -> AsyncIterator[Member]:
    member = Member(settings, [topic])
    await member.consumer.start()
    await until(lambda: member.assigned)
    yield member
    await member.consumer.stop()


async def test_an_assigned_topic_is_read_from_a_given_offset_only(member: Member, topic: str) -> None:
    assert await member.consumer.poll() == {}
    assert member.consumer.read_from(topic, 2)
    assert await member.read(3) == [(topic, 2, b"2"), (topic, 3, b"3"), (topic, 4, b"4")]
    assert member.consumer.lag(topic, 2) == 3
    assert member.consumer.lag(topic, 5) == 0


async def test_a_paused_topic_is_read_again_where_it_stopped(member: Member, topic: str) -> None:
    member.consumer.read_from(topic, 4)
    await member.read(1)
    member.consumer.pause([topic])
    member.consumer.read_from(topic, 3)
    member.consumer.pause([topic])
    assert await member.consumer.poll() == {}
    member.consumer.resume([topic])
    assert await member.read(2) == [(topic, 3, b"3"), (topic, 4, b"4")]


async def test_a_topic_of_another_member_is_not_read(member: Member) -> None:
    assert not member.consumer.read_from("elsewhere", 0)
    member.consumer.pause(["elsewhere"])
    member.consumer.resume(["elsewhere"])
    assert member.consumer.lag("elsewhere", 3) == 0
    assert await member.consumer.commit({"elsewhere": 3})


async def test_offsets_are_the_first_and_the_next_of_each_topic(
    member: Member, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await member.consumer.offsets([topic]) == {topic: Offsets(0, 5)}
    monkeypatch.setattr(consumer, "OFFSETS_S", 1.0)
    missing = f"{topic}.missing"
    assert await member.consumer.offsets([topic, missing]) == {topic: Offsets(0, 5)}
    with pytest.raises(BrokerUnavailableError, match=f"cannot read the offsets of {missing} from Kafka"):
        await member.consumer.offsets([missing])


async def test_committed_offsets_are_seen_from_outside(member: Member, topic: str, settings: Settings) -> None:
    for committed, is_at_end in ((3, False), (5, True)):
        assert await member.consumer.commit({topic: committed})
        positions = await group_positions(settings, settings.consumer_group, [topic])
        assert positions == {topic: Position(committed, 5)}
        assert positions[topic].is_at_end is is_at_end


async def test_a_kafka_that_is_unreachable_is_an_error(settings: Settings) -> None:
    member = Member(settings.but(kafka_bootstrap="127.0.0.1:1"), ["t"])
    with pytest.raises(BrokerUnavailableError, match="cannot reach Kafka"):
        await member.consumer.start()
