"""A topic that is deleted and created again stops its own symbol only, and that is reported."""

import time
from collections.abc import Awaitable, Callable

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from marketstream.exchanges.simulator.exchange import Simulator
from marketstream.kafka.admin import ensure_topics
from marketstream.kafka.client import connection
from marketstream.kafka.topics import topic_name
from marketstream.local.kafka import KafkaServer
from marketstream.redis.client import connect
from marketstream.redis.reader import LiveReader
from marketstream.service import Health
from marketstream.settings import Settings

from tests.harness.clients import within
from tests.harness.pair import pair

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
DELETED = "SOLUSDT"
REPORTED_S = RETURNED_S = 3 * 30.0
"""Three times the seconds within which a topic in trouble must be reported, and within which it must go on."""

STEADY_S = 3 * 5.0
"""Three times the greatest age of a price of a symbol that nothing has happened to."""


@pytest.fixture
def settings(kafka: KafkaServer, database_url: str, redis_url: str, topic_prefix: str) -> Settings:
    return Settings(
        kafka_bootstrap=kafka.address, database_url=database_url, redis_url=redis_url, topic_prefix=topic_prefix,
        exchange="simulator", default_exchange="simulator", symbols=SYMBOLS, consumer_group=topic_prefix,
        kafka_session_timeout_ms=3_000,
    )  # fmt: skip


async def ages_s(reader: LiveReader) -> dict[str, float]:
    statuses = await reader.statuses([("simulator", symbol) for symbol in SYMBOLS])
    now = time.time()
    return {
        symbol: now - (status.price_time if status is not None and status.price_time is not None else 0.0)
        for symbol, status in zip(SYMBOLS, statuses, strict=True)
    }


def fresh(reader: LiveReader, *symbols: str) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        ages = await ages_s(reader)
        assert all(ages[symbol] < STEADY_S for symbol in symbols), ages

    return check


def says(health: Health, topic: str) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        assert any(topic in problem for problem in health.problems().values()), health.problems()

    return check


async def test_a_deleted_topic_stops_its_own_symbol_only(settings: Settings) -> None:
    topic = topic_name(settings.topic_prefix, "simulator", DELETED)
    others = [symbol for symbol in SYMBOLS if symbol != DELETED]
    producer, processor, redis = Health(), Health(), connect(settings)
    reader, admin = LiveReader(redis), AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        async with pair(settings, Simulator(1), Simulator(1), producer=producer, processor=processor):
            await within(RETURNED_S, fresh(reader, *SYMBOLS))
            await admin.delete_topics([topic])
            oldest = dict.fromkeys(others, 0.0)

            async def reported() -> None:
                for symbol, age in (await ages_s(reader)).items():
                    if symbol in oldest:
                        oldest[symbol] = max(oldest[symbol], age)
                await says(producer, topic)()
                await says(processor, topic)()

            await within(REPORTED_S, reported)
            assert max(oldest.values()) < STEADY_S, oldest
            await ensure_topics(settings, [topic])
            await within(RETURNED_S, fresh(reader, *SYMBOLS))

            async def ready() -> None:
                assert producer.problems() == {}
                assert processor.problems() == {}

            await within(RETURNED_S, ready)
    finally:
        await admin.close()
        await redis.aclose()
