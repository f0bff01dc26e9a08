"""The settings of a pipeline on the fake Binance of these tests."""

import pytest
from marketstream.local.kafka import KafkaServer
from marketstream.settings import Settings

from tests.integration.live.exchange import RATES, SPEED


@pytest.fixture
def settings(kafka: KafkaServer, database_url: str, redis_url: str, topic_prefix: str) -> Settings:
    """Return settings for all services. The test adds EXCHANGE_WS_URL and EXCHANGE_REST_URL."""
    return Settings(
        kafka_bootstrap=kafka.address,
        database_url=database_url,
        redis_url=redis_url,
        exchange="binance",
        symbols=tuple(RATES),
        topic_prefix=topic_prefix,
        consumer_group=topic_prefix,
        heartbeat_ms=1000 // SPEED,
        kafka_session_timeout_ms=1000,
        http_host="127.0.0.1",
        http_port=0,
    )
