"""The publisher against a real Kafka."""

import asyncio

import pytest
from marketstream.codec import Heartbeat, encode
from marketstream.kafka.admin import ensure_topics
from marketstream.kafka.errors import BrokerRefusedError
from marketstream.kafka.publisher import BATCH_BYTES, Publisher
from marketstream.local.kafka import KafkaServer
from marketstream.settings import Settings

from tests.harness.servers import pause, resume
from tests.integration.producer.topics import read_until


@pytest.fixture
def settings(kafka: KafkaServer) -> Settings:
    return Settings(kafka_bootstrap=kafka.address)


def beat(number: int) -> bytes:
    return encode(Heartbeat("x", "y", 0, number, -1))


async def test_after_a_failure_a_new_client_goes_on(settings: Settings, topic_prefix: str) -> None:
    topic = f"{topic_prefix}.x.y"
    await ensure_topics(settings, [topic])
    given_up: list[int] = []
    publisher = Publisher(settings, on_failure=given_up.append)
    await publisher.start()
    try:
        first = await publisher.send(topic, beat(1))
        assert await first is True
        # The broker rejects a gap in the sequence, as it does after it has lost the end of its log.
        client = publisher._client
        partition = next(iter(client._txn_manager._sequence_numbers))
        client._txn_manager.increment_sequence_number(partition, 10)
        assert await (await publisher.send(topic, beat(2))) is False
        assert given_up == [1]
        assert await (await publisher.send(topic, beat(3))) is True
        assert publisher._client is not client
        assert publisher.unacknowledged == 0
    finally:
        await publisher.close()
    records = await read_until(settings.kafka_bootstrap, topic, lambda records: len(records) >= 2)
    assert [record.closes_before_us for record in records if isinstance(record, Heartbeat)] == [1, 3]


async def test_send_waits_when_too_much_is_on_its_way(
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


async def test_a_record_beyond_all_limits_is_a_clear_error(settings: Settings, topic_prefix: str) -> None:
    publisher = Publisher(settings)
    with pytest.raises(BrokerRefusedError, match="expected at most"):
        await publisher.send(f"{topic_prefix}.x.y", bytes(BATCH_BYTES + 1))
    assert publisher.unacknowledged == 0
