"""A topic that cannot be used at the start holds up its own symbol only, is reported, and joins when it can be used."""

from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from marketstream.exchanges.simulator.exchange import Simulator
from marketstream.kafka.admin import ensure_topics
from marketstream.kafka.client import connection
from marketstream.kafka.topics import topic_name
from marketstream.local.kafka import KafkaServer
from marketstream.processor import metrics as processor_metrics
from marketstream.producer import metrics as producer_metrics
from marketstream.service import Health
from marketstream.settings import Settings

from tests.harness.clients import query, within
from tests.harness.pair import pair
from tests.harness.samples import sample

WELL, ILL = "BTCUSDT", "ETHUSDT"
STARTED_S = 3 * 20.0
"""Three times the seconds within which a symbol has its first candle."""

REPORTED_S = 3 * 15.0
"""Three times the seconds within which a topic that cannot be used is reported."""

JOINED_S = 3 * 40.0
"""Three times the seconds within which a symbol has its first candle once its topic can be used."""


@pytest.fixture
def settings(kafka: KafkaServer, database_url: str, redis_url: str, topic_prefix: str) -> Settings:
    return Settings(
        kafka_bootstrap=kafka.address, database_url=database_url, redis_url=redis_url, topic_prefix=topic_prefix,
        exchange="simulator", default_exchange="simulator", symbols=(WELL, ILL), consumer_group=topic_prefix,
        kafka_session_timeout_ms=3_000,
    )  # fmt: skip


@pytest.fixture
async def admin(settings: Settings) -> AsyncIterator[Any]:
    client = AIOKafkaAdminClient(**connection(settings))
    await client.start()
    yield client
    await client.close()


class Trouble(NamedTuple):
    """A reason for which a topic cannot be used: the settings with which it happens, and what is said about it."""

    changes: dict[str, Any]
    partitions: int
    said: str


TROUBLES = {
    "refused": Trouble({"topic_replication": 3}, 0, "InvalidReplicationFactorError"),
    "three partitions": Trouble({}, 3, "has 3 partitions: expected 1"),
    "not created yet": Trouble({"topic_create": False}, 0, "Kafka does not have the topic"),
}


async def candles(settings: Settings) -> set[str]:
    """Return the symbols that have candles with trades."""
    rows = await query(settings.database_url, "SELECT DISTINCT symbol FROM candles_10s WHERE trade_count > 0")
    return {row["symbol"] for row in rows}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
async def test_a_topic_that_cannot_be_used_holds_up_its_own_symbol_only(
    settings: Settings, admin: Any, trouble: Trouble
) -> None:
    topics = {symbol: topic_name(settings.topic_prefix, "simulator", symbol) for symbol in settings.symbols}
    await ensure_topics(settings, [topics[WELL]])
    if trouble.partitions:
        await admin.create_topics([NewTopic(topics[ILL], trouble.partitions, 1)])
    producer, processor = Health(), Health()
    async with pair(
        settings.but(**trouble.changes), Simulator(1), Simulator(1), producer=producer, processor=processor
    ):

        async def other_has_candles() -> None:
            assert await candles(settings) == {WELL}

        await within(STARTED_S, other_has_candles)
        for health in (producer, processor):
            await within(REPORTED_S, names(health, topics[ILL], trouble.said))
        for symbol, is_ill in ((WELL, False), (ILL, True)):
            assert (sample(producer_metrics.STUCK, symbol=symbol) > 0) is is_ill
            assert (sample(processor_metrics.UNUSABLE, exchange="simulator", symbol=symbol) > 0) is is_ill
        if trouble.partitions:
            await admin.delete_topics([topics[ILL]])
        else:
            await ensure_topics(settings, [topics[ILL]])

        async def both_have_candles() -> None:
            assert await candles(settings) == {WELL, ILL}
            assert producer.problems() == {}
            assert processor.problems() == {}
            assert sample(producer_metrics.STUCK, symbol=ILL) == 0
            assert sample(processor_metrics.UNUSABLE, exchange="simulator", symbol=ILL) == 0

        await within(JOINED_S, both_have_candles)


def names(health: Health, topic: str, said: str) -> Callable[[], Any]:
    async def check() -> None:
        lines = [problem for problem in health.problems().values() if topic in problem]
        assert any(said in line for line in lines), health.problems()

    return check
