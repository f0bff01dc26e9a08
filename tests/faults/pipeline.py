"""The pipeline under test: a producer and processors as processes on real servers, and their stored progress."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg
from marketstream.kafka.admin import ensure_topics
from marketstream.kafka.topics import topic_name
from marketstream.local.kafka import KafkaServer
from marketstream.local.postgres import PostgresServer
from marketstream.local.redis import RedisServer
from marketstream.postgres.connect import close_pool, open_pool
from marketstream.postgres.migrate import migrate
from marketstream.settings import Settings

from tests.faults.exchange import GRACE_US, NAME, RATES, UnreliableExchange
from tests.faults.service import Service

SESSION_S = 1.0
"""The session timeout of the consumer group, in seconds."""


class Servers(NamedTuple):
    """The servers of the pipeline."""

    kafka: KafkaServer
    postgres: PostgresServer
    redis: RedisServer


class SymbolProgress(NamedTuple):
    """A row of progress, with its counted ids one by one."""

    fence: int
    resume_offset: int
    position: int
    closed_until: int
    counted: frozenset[int]


class Pipeline:
    """A producer and two processors, and one more of each for the faults to start."""

    def __init__(self, servers: Servers, settings: Settings, exchange: UnreliableExchange, logs: Path) -> None:
        self.servers = servers
        self.settings = settings
        self.history: list[str] = []
        self._began = time.monotonic()
        produce = ["tests.faults.producer", str(exchange.seed), str(exchange.began_us)]
        process = ["marketstream", "processor"]
        self.producer, self.second_producer = (
            Service(name, produce, settings, logs / f"{name}.log") for name in ("producer", "second-producer")
        )
        first, second, third = (
            Service(name, process, settings, logs / f"{name}.log") for name in ("first", "second", "third")
        )
        self.processors = [first, second]
        self.third_processor = third

    @property
    def services(self) -> list[Service]:
        """All services, running or not."""
        return [self.producer, self.second_producer, *self.processors, self.third_processor]

    def note(self, what: str) -> None:
        """Add to the history of the pipeline's faults."""
        self.history.append(f"{time.monotonic() - self._began:7.2f} s  {what}")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the producer and two processors, and end every service afterwards."""
        topics = [topic_name(self.settings.topic_prefix, NAME, symbol) for symbol in RATES]
        await ensure_topics(self.settings, topics)
        pool = await open_pool(self.settings, size=1)
        await migrate(pool)
        await close_pool(pool)
        try:
            for service in (self.producer, *self.processors):
                service.start()
            yield
        finally:
            for service in self.services:
                service.close()

    async def run(self) -> None:
        """Check until cancelled that no service exits by itself."""
        while True:
            for service in self.services:
                service.assert_alive()
            await asyncio.sleep(0.2)

    async def progress(self) -> dict[str, SymbolProgress]:
        """Return the progress of each symbol in PostgreSQL. Raises the errors of asyncpg."""
        connection = await asyncpg.connect(self.settings.database_url, timeout=5, command_timeout=10)
        try:
            rows = await connection.fetch("SELECT * FROM progress")
        finally:
            connection.terminate()
        return {
            row["symbol"]: SymbolProgress(
                row["fence"],
                row["resume_offset"],
                row["position"],
                row["closed_until"],
                frozenset(trade_id for ids in row["counted"] for trade_id in range(ids.lower, ids.upper)),
            )
            for row in rows
        }

    async def fences(self) -> int:
        """Return the sum of all fences, which rises with every claim."""
        return sum(symbol.fence for symbol in (await self.progress()).values())

    async def claimed_since(self, fences: int, limit_s: float) -> bool:
        """Wait until the sum of the fences has risen; return False if it has not within the limit."""
        try:
            async with asyncio.timeout(limit_s):
                while await self.fences() <= fences:  # noqa: ASYNC110  another process claims it
                    await asyncio.sleep(0.005)
        except TimeoutError:
            return False
        return True


def settings_for(servers: Servers, topic_prefix: str) -> Settings:
    """Return the settings of all services, adapted to fast time."""
    return Settings(
        kafka_bootstrap=servers.kafka.address,
        database_url=servers.postgres.address,
        redis_url=servers.redis.address,
        exchange=NAME,
        default_exchange=NAME,
        symbols=tuple(RATES),
        topic_prefix=topic_prefix,
        consumer_group=topic_prefix,
        grace_ms=GRACE_US // 1000,
        heartbeat_ms=50,
        kafka_session_timeout_ms=int(SESSION_S * 1000),
        max_holes=100_000,
        http_host="127.0.0.1",
        http_port=0,
    )
