"""Topics and the publisher against a real Kafka."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from marketstream.codec import Heartbeat, encode
from marketstream.kafka.admin import ensure_topics
from marketstream.kafka.client import connection
from marketstream.kafka.errors import BrokerRefusedError, BrokerUnavailableError
from marketstream.kafka.publisher import BATCH_BYTES, Publisher
from marketstream.local.kafka import KafkaServer
from marketstream.settings import Settings, SettingsError

from tests.harness.servers import pause, resume
from tests.integration.producer.topics import read_until


@pytest.fixture
def settings(kafka: KafkaServer) -> Settings:
    return Settings(kafka_bootstrap=kafka.address, topic_retention_ms=3_600_000)


def beat(number: int) -> bytes:
    return encode(Heartbeat("x", "y", 0, number, -1))


async def test_topics_are_made_once_with_their_retention(settings: Settings, topic_prefix: str) -> None:
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


async def test_a_kafka_that_never_comes_is_an_error_in_time(settings: Settings) -> None:
    with pytest.raises(BrokerUnavailableError, match=r"within 0\.5 s at 127\.0\.0\.1:1"):
        await ensure_topics(settings.but(kafka_bootstrap="127.0.0.1:1"), ["t"], limit_s=0.5)


async def test_after_a_failure_a_new_client_goes_on(settings: Settings, topic_prefix: str) -> None:
    topic = f"{topic_prefix}.x.y"
    await ensure_topics(settings, [topic])
    given_up: list[int] = []
    publisher = Publisher(settings, on_failure=given_up.append)
    await publisher.start()
    try:
        first = await publisher.send(topic, beat(1))
        assert await first is True
        # The broker holds no sequence beyond the one it knows: what a producer meets whose broker lost its log's end.
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


def test_a_login_needs_a_name_and_a_password_and_trust_a_file() -> None:
    login = Settings(kafka_bootstrap="k:9093", kafka_security_protocol="SASL_PLAINTEXT")
    with pytest.raises(SettingsError, match=r"KAFKA_SASL_USERNAME.*KAFKA_SASL_PASSWORD"):
        connection(login)
    given = connection(login.but(kafka_sasl_username="u", kafka_sasl_password="p"))  # noqa: S106
    assert given["sasl_mechanism"] == "SCRAM-SHA-512"
    assert "ssl_context" not in given
    encrypted = Settings(kafka_bootstrap="k:9093", kafka_security_protocol="SSL")
    assert connection(encrypted)["ssl_context"].check_hostname
    with pytest.raises(SettingsError, match=r"KAFKA_CA_FILE is '/no/such\.pem'"):
        connection(encrypted.but(kafka_ca_file="/no/such.pem"))
