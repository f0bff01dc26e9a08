"""A processor in this process, and the topic of its symbol."""

import pytest
from marketstream.kafka.admin import ensure_topics
from marketstream.local.kafka import KafkaServer
from marketstream.settings import Settings

from tests.integration.processor.market import EXCHANGE, SYMBOL, Market


@pytest.fixture
def settings(kafka: KafkaServer, database_url: str, redis_url: str, topic_prefix: str) -> Settings:
    """Return the settings of a processor of one symbol."""
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
    """Create an empty topic of the symbol."""
    market = Market(settings)
    await ensure_topics(settings, [market.topic])
    return market
