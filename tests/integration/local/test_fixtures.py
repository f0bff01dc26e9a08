"""The session's servers answer, each test in a part of its own, and come back after faults."""

import asyncio

from marketstream.local.kafka import KafkaServer
from marketstream.local.postgres import PostgresServer
from redis.asyncio import Redis

from tests.harness.clients import consume, make_topic, produce, query
from tests.harness.servers import pause, resume


async def test_each_test_has_its_own_database(database_url: str) -> None:
    await query(database_url, "CREATE TABLE only_here (id INT)")
    assert await query(database_url, "SELECT * FROM only_here") == []


async def test_each_test_has_its_own_redis_database(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0


async def test_kafka_keeps_its_port_and_records_when_it_is_killed(kafka: KafkaServer, topic_prefix: str) -> None:
    topic, address = f"{topic_prefix}.kept", kafka.address
    await make_topic(address, topic)
    await produce(address, topic, b"before")
    await kafka.kill()
    await kafka.start()
    assert kafka.address == address
    await produce(address, topic, b"after")
    assert await consume(address, topic) == [b"before", b"after"]


async def test_postgres_goes_on_after_a_pause(postgres: PostgresServer, database_url: str) -> None:
    pause(postgres)
    asking = asyncio.create_task(query(database_url, "SELECT 1 AS one"))
    done, _ = await asyncio.wait([asking], timeout=0.5)
    assert not done
    resume(postgres)
    assert (await asking)[0]["one"] == 1


async def test_postgres_keeps_what_was_committed_when_it_is_killed(postgres: PostgresServer, database_url: str) -> None:
    await query(database_url, "CREATE TABLE kept AS SELECT 7 AS answer")
    await postgres.kill()
    await postgres.start()
    assert (await query(database_url, "SELECT answer FROM kept"))[0]["answer"] == 7
