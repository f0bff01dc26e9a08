"""The publisher against a real Kafka."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from marketstream.codec import Heartbeat, encode
from marketstream.kafka.admin import ensure_topics
from marketstream.kafka.client import connection
from marketstream.kafka.errors import BrokerRefusedError
from marketstream.kafka.publisher import BATCH_BYTES, Publisher
from marketstream.kafka.topics import topic_problem
from marketstream.local.kafka import KafkaServer
from marketstream.settings import Settings

from tests.harness.servers import pause, resume
from tests.integration.producer.topics import read_until

LIMIT_S = 90.0


async def within(limit_s: float, condition: Callable[[], object]) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.05)


@pytest.fixture
def settings(kafka: KafkaServer) -> Settings:
    return Settings(kafka_bootstrap=kafka.address)


def beat(number: int) -> bytes:
    return encode(Heartbeat("x", "y", 0, number, -1))


async def test_a_client_that_failed_is_replaced_and_nothing_is_lost(settings: Settings, topic_prefix: str) -> None:
    topic = f"{topic_prefix}.x.y"
    await ensure_topics(settings, [topic])
    given_up: list[int] = []
    publisher = Publisher(settings, on_failure=given_up.append)
    await publisher.start()
    try:
        assert await (await publisher.send(topic, beat(1))) is True
        client = publisher._client
        await client._sender.close()  # as after an error that aiokafka does not expect
        answers = [await publisher.send(topic, beat(number)) for number in (2, 3)]
        async with asyncio.timeout(LIMIT_S):
            assert await asyncio.gather(*answers) == [True, True]
        assert publisher._client is not client
        assert publisher.unacknowledged == 0
        assert given_up == []
    finally:
        await publisher.close()
    records = await read_until(settings.kafka_bootstrap, topic, lambda records: len(records) >= 3)
    assert [record.closes_before_us for record in records if isinstance(record, Heartbeat)] == [1, 2, 3]


@pytest.fixture
async def admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(**connection(settings))
    await client.start()
    yield client
    await client.close()


@contextlib.asynccontextmanager
async def beating(publisher: Publisher, topic: str) -> AsyncIterator[list["asyncio.Future[bool]"]]:
    """Send records every 20 ms inside the block, and yield the list of their answers."""
    answers: list[asyncio.Future[bool]] = []

    async def beat_on() -> None:
        while True:
            answers.append(await publisher.send(topic, beat(len(answers))))
            await asyncio.sleep(0.02)

    task = asyncio.create_task(beat_on())
    try:
        yield answers
    finally:
        task.cancel()
        await asyncio.wait([task])


def acknowledged(answers: list["asyncio.Future[bool]"]) -> int:
    return sum(answer.done() and answer.result() for answer in answers)


async def set_max_bytes(admin: AIOKafkaAdminClient, topic: str, most: int) -> None:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"max.message.bytes": str(most)})
    await admin.alter_configs([resource])


@pytest.mark.parametrize("trouble", ["missing", "refused"])
async def test_a_topic_in_trouble_delays_no_other_and_recovers(
    settings: Settings, topic_prefix: str, admin: AIOKafkaAdminClient, trouble: str
) -> None:
    well, ill = f"{topic_prefix}.x.well", f"{topic_prefix}.x.ill"
    await ensure_topics(settings, [well, ill])
    publisher = Publisher(settings)
    await publisher.start()
    try:
        async with beating(publisher, well) as good, beating(publisher, ill) as bad:
            await within(LIMIT_S, lambda: acknowledged(good) > 10 and acknowledged(bad) > 10)
            await (admin.delete_topics([ill]) if trouble == "missing" else set_max_bytes(admin, ill, 10))
            await within(LIMIT_S, lambda: ill in publisher.stuck())
            taken, before = acknowledged(bad), acknowledged(good)
            await within(LIMIT_S, lambda: acknowledged(good) > before + 200)
            assert acknowledged(bad) == taken
            assert list(publisher.stuck()) == [ill]
            assert topic_problem({ill: (30.0, publisher.stuck()[ill][1])})
            await (ensure_topics(settings, [ill]) if trouble == "missing" else set_max_bytes(admin, ill, 1_000_000))
            await within(LIMIT_S, lambda: publisher.stuck() == {} and acknowledged(bad) > taken + 200)
    finally:
        await publisher.close()


async def test_a_topic_in_trouble_keeps_no_more_than_its_share(
    settings: Settings, topic_prefix: str, admin: AIOKafkaAdminClient
) -> None:
    well, ill = f"{topic_prefix}.x.well", f"{topic_prefix}.x.ill"
    await ensure_topics(settings, [well, ill])
    given_up: list[int] = []
    publisher = Publisher(settings, most_unacknowledged=100, on_failure=given_up.append)
    await publisher.start()
    try:
        assert await (await publisher.send(ill, beat(0))) is True
        await set_max_bytes(admin, ill, 10)
        async with beating(publisher, ill):
            await within(LIMIT_S, lambda: ill in publisher.stuck())
            for number in range(1_000):
                await publisher.send(ill, beat(number))
            assert publisher.unacknowledged <= 101
            assert sum(given_up) >= 800
            async with asyncio.timeout(LIMIT_S):
                assert await (await publisher.send(well, beat(1))) is True
    finally:
        await publisher.close()
    assert publisher.unacknowledged == 0


async def test_send_waits_while_too_much_is_unacknowledged(
    settings: Settings, kafka: KafkaServer, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}.x.y"
    await ensure_topics(settings, [topic])
    publisher = Publisher(settings, most_unacknowledged=10)
    await publisher.start()
    try:
        await (await publisher.send(topic, beat(0)))
        pause(kafka)
        try:
            answers = [await publisher.send(topic, beat(number)) for number in range(1, 11)]
            waiting = asyncio.create_task(publisher.send(topic, beat(11)))
            await asyncio.wait([waiting], timeout=0.2)
            assert not waiting.done()
            assert publisher.unacknowledged == 10
            assert publisher.silence_s() > 0.1
        finally:
            resume(kafka)
        answers.append(await waiting)
        assert all(await asyncio.gather(*answers))
    finally:
        await publisher.close()


async def test_a_record_that_is_too_large_is_a_clear_error(settings: Settings, topic_prefix: str) -> None:
    publisher = Publisher(settings)
    with pytest.raises(BrokerRefusedError, match="expected at most"):
        await publisher.send(f"{topic_prefix}.x.y", bytes(BATCH_BYTES + 1))
    assert publisher.unacknowledged == 0
