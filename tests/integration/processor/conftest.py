"""A migrated database, and a processor in this process, for whoever asks."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from marketstream.kafka.admin import ensure_topics
from marketstream.local.kafka import KafkaServer
from marketstream.postgres.connect import close_pool, open_pool
from marketstream.postgres.migrate import migrate
from marketstream.settings import Settings

from tests.integration.processor.market import EXCHANGE, SYMBOL, Market


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections, as a processor has them, to a database of this test with all tables."""
    opened = await open_pool(Settings(database_url=database_url), size=4)
    try:
        await migrate(opened)
        yield opened
    finally:
        await close_pool(opened)


@pytest.fixture
def settings(kafka: KafkaServer, database_url: str, redis_url: str, topic_prefix: str) -> Settings:
    """Of a processor of one symbol."""
    return Settings(
        kafka_bootstrap=kafka.address,
        database_url=database_url,
        redis_url=redis_url,
        exchange=EXCHANGE,
        default_exchange=EXCHANGE,
        symbols=(SYMBOL,),
        topic_prefix=topic_prefix,
        consumer_group=topic_prefix,
    )


@pytest.fixture
async def market(settings: Settings) -> Market:
    """An empty topic of the symbol."""
    market = Market(settings)
    await ensure_topics(settings, [market.topic])
    return market
