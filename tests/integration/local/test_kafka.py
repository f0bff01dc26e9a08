"""The embedded Kafka: it keeps its port and its records through a kill."""

from marketstream.local.kafka import KafkaServer

from tests.harness.clients import consume, make_topic, produce


async def test_kafka_keeps_its_port_and_records_when_it_is_killed(kafka: KafkaServer, topic_prefix: str) -> None:
    topic, address = f"{topic_prefix}.kept", kafka.address
    await make_topic(address, topic)
    await produce(address, topic, b"before")
    await kafka.kill()
    await kafka.start()
    assert kafka.address == address
    await produce(address, topic, b"after")
    assert await consume(address, topic) == [b"before", b"after"]
