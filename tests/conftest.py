"""What tests of every kind share: the recordings, and real servers, one set of them for the whole session, with a part
of its own in each for every test."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from marketstream.local.kafka import KafkaServer
from marketstream.local.postgres import PostgresServer
from marketstream.local.redis import RedisServer
from marketstream.local.servers import EmbeddedServers
from redis.asyncio import Redis

from tests.harness.needs import RECORDINGS, needed_folder

# A machine that halts for a moment in the middle of an example is no fault of what the example tries.
settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Return the folder with recordings of real exchanges."""
    return needed_folder(RECORDINGS, "recordings")


# Consumers that a test kills must be missed soon.
KAFKA_PROPERTIES = {"group.min.session.timeout.ms": "500", "log.retention.check.interval.ms": "1000"}

_redis_databases = itertools.cycle(range(1, 64))


@pytest.fixture(scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedServers]:
    """Kafka, PostgreSQL and Redis for all tests of the session."""
    async with EmbeddedServers(tmp_path_factory.mktemp("servers"), kafka_properties=KAFKA_PROPERTIES) as embedded:
        yield embedded


@pytest.fixture(scope="session")
async def kafka(servers: EmbeddedServers) -> KafkaServer:
    """The session's Kafka; a test that stops or pauses it brings it back."""
    assert servers.kafka is not None
    return servers.kafka


@pytest.fixture(scope="session")
async def postgres(servers: EmbeddedServers) -> PostgresServer:
    """The session's PostgreSQL; a test that stops or pauses it brings it back."""
    assert servers.postgres is not None
    return servers.postgres


@pytest.fixture(scope="session")
async def redis_server(servers: EmbeddedServers) -> RedisServer:
    """The session's Redis; a test that stops or pauses it brings it back."""
    assert servers.redis is not None
    return servers.redis


@pytest.fixture
async def database_url(postgres: PostgresServer) -> AsyncIterator[str]:
    """The URL of an empty database that belongs to this test."""
    name = f"test_{uuid.uuid4().hex}"
    await _execute(postgres.address, f"CREATE DATABASE {name}")
    yield urlsplit(postgres.address)._replace(path=f"/{name}").geturl()
    await _execute(postgres.address, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def topic_prefix() -> str:
    """A prefix that no other test's topics have."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty Redis database that belongs to this test."""
    url = urlsplit(redis_server.address)._replace(path=f"/{next(_redis_databases)}").geturl()
    async with Redis.from_url(url) as client:
        await client.flushdb()
    return url


async def _execute(url: str, statement: str) -> None:
    async with asyncio.timeout(30):
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
