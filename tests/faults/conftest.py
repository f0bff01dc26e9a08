"""Servers for the faults alone, because no other test could use them at the same time."""

from collections.abc import AsyncIterator

import pytest
from marketstream.local.servers import EmbeddedServers

from tests.faults.pipeline import Servers


@pytest.fixture
async def own_servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    """Start Kafka, PostgreSQL and Redis for the faults to stop and restart."""
    properties = {"group.min.session.timeout.ms": "500", "log.retention.check.interval.ms": "1000"}
    async with EmbeddedServers(tmp_path_factory.mktemp("servers"), kafka_properties=properties) as embedded:
        assert embedded.kafka is not None
        assert embedded.postgres is not None
        assert embedded.redis is not None
        yield Servers(embedded.kafka, embedded.postgres, embedded.redis)
