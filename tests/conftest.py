"""Fixtures of all tests: the recordings, and real servers.

The session has one set of servers. Every test gets a database, a prefix for topics and a Redis database of its own.
"""

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

# A machine that pauses in the middle of an example must not fail it.
settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Return the folder with recordings of real exchanges."""
    return needed_folder(RECORDINGS, "recordings")


# The sessions of consumers that a test kills must time out soon.
KAFKA_PROPERTIES = {"group.min.session.timeout.ms": "500", "log.retention.check.interval.ms": "1000"}

_redis_databases = itertools.cycle(range(1, 64))


@pytest.fixture(scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedServers]:
    """Start Kafka, PostgreSQL and Redis for all tests of the session."""
    async with EmbeddedServers(tmp_path_factory.mktemp("servers"), kafka_properties=KAFKA_PROPERTIES) as embedded:
        yield embedded


@pytest.fixture(scope="session")
async def kafka(servers: EmbeddedServers) -> KafkaServer:
    """Return the session's Kafka. A test that stops or pauses it must start or resume it."""
    assert servers.kafka is not None
    return servers.kafka


@pytest.fixture(scope="session")
async def postgres(servers: EmbeddedServers) -> PostgresServer:
    """Return the session's PostgreSQL. A test that stops or pauses it must start or resume it."""
    assert servers.postgres is not None
    return servers.postgres


@pytest.fixture(scope="session")
async def redis_server(servers: EmbeddedServers) -> RedisServer:
    """Return the session's Redis. A test that stops or pauses it must start or resume it."""
    assert servers.redis is not None
    return servers.redis


@pytest.fixture
async def database_url(postgres: PostgresServer) -> AsyncIterator[str]:
    """Create an empty database for this test, and yield its URL."""
    name = f"test_{uuid.uuid4().hex}"
    await _execute(postgres.address, f"CREATE DATABASE {name}")
    yield urlsplit(postgres.address)._replace(path=f"/{name}").geturl()
    await _execute(postgres.address, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def topic_prefix() -> str:
    """Return a prefix for topics that no other test has."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def redis_url(redis_server: RedisServer) -> str:
    """Empty a Redis database for this test, and return its URL."""
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
