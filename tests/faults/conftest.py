"""Servers of their own for the faults: other tests could not use them meanwhile."""

from collections.abc import AsyncIterator

import pytest
from marketstream.local.servers import EmbeddedServers

from tests.faults.pipeline import Servers


@pytest.fixture
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    """Kafka, PostgreSQL and Redis, to be maltreated."""
    properties = {"group.min.session.timeout.ms": "500", "log.retention.check.interval.ms": "1000"}
    async with EmbeddedServers(tmp_path_factory.mktemp("servers"), kafka_properties=properties) as embedded:
        assert embedded.kafka is not None
        assert embedded.postgres is not None
        assert embedded.redis is not None
        yield Servers(embedded.kafka, embedded.postgres, embedded.redis)
