"""The faults that are done to the pipeline. After each of them, everything runs again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from inspect import iscoroutinefunction
from random import Random
from typing import Final, TypeAlias

from redis.asyncio import Redis

from tests.faults.observer import LiveObserver
from tests.faults.pipeline import SESSION_S, Pipeline
from tests.faults.service import Service
from tests.faults.topics import Topics
from tests.harness.servers import restart

TAKEOVER_LIMIT_S: Final = 3.0
"""Seconds for another processor to claim the symbols of a stopped one, unless that one holds a lock on them."""


class Faults:
    """The faults, each at a random instant."""

    Fault: TypeAlias = Callable[[], Awaitable[None]]

    def __init__(self, rng: Random, pipeline: Pipeline, topics: Topics, live: LiveObserver) -> None:
        self._rng = rng
        self._pipeline = pipeline
        self._topics = topics
        self._live = live

    def deck(self) -> Iterator[tuple[str, Fault]]:
        """Yield faults with their names, without end, each once in every shuffle."""
        names = [name for name, member in vars(Faults).items() if iscoroutinefunction(member) and name[0] != "_"]
        while True:
            for name in self._rng.sample(names, len(names)):
                yield name, getattr(self, name)

    async def kill_processor(self) -> None:
        """Kill a processor, and start it before or after its session in the group has timed out."""
        await self._kill_and_start([self._rng.choice(self._pipeline.processors)])

    async def kill_processors(self) -> None:
        """Kill both processors, so that nothing is read for a while."""
        await self._kill_and_start(self._pipeline.processors)

    async def kill_producer(self) -> None:
        """Kill the producer, which then misses some of the feed."""
        await self._kill_and_start([self._pipeline.producer])

    async def kill_all(self) -> None:
        """Kill the producer and the processors."""
        await self._kill_and_start([self._pipeline.producer, *self._pipeline.processors])

    async def stop_processor(self) -> None:
        """Stop a processor, and continue it after another has claimed its symbols, often at that moment."""
        await self._stop_until_replaced([self._rng.choice(self._pipeline.processors)])

    async def stop_processors(self) -> None:
        """Stop both processors until their sessions have timed out; the first to continue claims every symbol."""
        first, second = self._rng.sample(self._pipeline.processors, 2)
        self._do("suspend", first, second)
        await asyncio.sleep(SESSION_S + self._rng.random())
        self._do("resume", first)
        await self._wait(SESSION_S)
        self._do("resume", second)

    async def stop_producer(self) -> None:
        """Stop the producer; when it continues, it publishes everything that it has received."""
        self._do("suspend", self._pipeline.producer)
        await self._wait(2.0)
        self._do("resume", self._pipeline.producer)

    async def stop_all(self) -> None:
        """Stop the producer and a processor."""
        await self._stop_until_replaced([self._rng.choice(self._pipeline.processors), self._pipeline.producer])

    async def replace_producer(self) -> None:
        """Start a second producer while the first is stopped, so that both publish for a while."""
        producer, second = self._pipeline.producer, self._pipeline.second_producer
        self._do("suspend", producer)
        self._do("start", second)
        await self._wait(2.0)
        self._do("resume", producer)
        await self._wait(2.0)
        await self._end(second)

    async def rebalance(self) -> None:
        """Start a third processor, which joins the group, and end it."""
        fences = await self._pipeline.fences()
        self._do("start", self._pipeline.third_processor)
        await self._pipeline.claimed_since(fences, 10)
        await self._wait(1.0)
        await self._end(self._pipeline.third_processor)

    async def restart_postgres(self) -> None:
        """Restart PostgreSQL after a graceful stop or a crash."""
        crash = self._rng.random() < 0.5
        self._pipeline.note("crash postgres" if crash else "restart postgres")
        postgres = self._pipeline.servers.postgres
        await (postgres.kill() if crash else postgres.stop())
        await self._wait(1.0)
        await postgres.start()

    async def restart_kafka(self) -> None:
        """Restart Kafka after a graceful stop."""
        self._pipeline.note("restart kafka")
        await restart(self._pipeline.servers.kafka)

    async def restart_redis(self) -> None:
        """Restart Redis, which loses its data."""
        self._pipeline.note("restart redis")
        self._live.redis_loses_its_data()
        await restart(self._pipeline.servers.redis)

    async def flush_redis(self) -> None:
        """Delete all data in Redis, by FLUSHALL."""
        self._pipeline.note("FLUSHALL")
        self._live.redis_loses_its_data()
        async with Redis.from_url(self._pipeline.settings.redis_url) as redis:
            await redis.flushall()

    async def lose_records(self) -> None:
        """Delete records from the topics that are not read yet or belong to open windows."""
        self._do("kill", *self._pipeline.processors)
        await self._wait(1.0)
        progress, ends = await self._pipeline.progress(), await self._topics.ends()
        before = {
            symbol: self._rng.randint(progress[symbol].resume_offset + 1, ends[symbol])
            for symbol in progress
            if progress[symbol].resume_offset < ends[symbol] and self._rng.random() < 0.7
        }
        self._pipeline.note(f"lose records before {before}")
        self._live.kafka_loses_records()
        await self._topics.lose(before)
        self._do("start", *self._pipeline.processors)

    async def _kill_and_start(self, services: list[Service]) -> None:
        for service in self._rng.sample(services, len(services)):
            self._do("kill", service)
        await self._wait(2 * SESSION_S)
        for service in self._rng.sample(services, len(services)):
            self._do("start", service)

    async def _end(self, service: Service) -> None:
        """End a service by SIGTERM or SIGKILL."""
        if self._rng.random() < 0.5:
            self._do("kill", service)
        else:
            self._pipeline.note(f"terminate {service.name}")
            await service.terminate()

    async def _stop_until_replaced(self, services: list[Service]) -> None:
        fences = await self._pipeline.fences()
        for service in self._rng.sample(services, len(services)):
            self._do("suspend", service)
        replaced = await self._pipeline.claimed_since(fences, SESSION_S + TAKEOVER_LIMIT_S)
        self._pipeline.note("replaced" if replaced else "not replaced yet")
        if self._rng.random() < 0.5:
            await self._wait(1.0)
        for service in self._rng.sample(services, len(services)):
            self._do("resume", service)

    async def _wait(self, most_s: float) -> None:
        """Wait for a random time of at most `most_s` seconds."""
        await asyncio.sleep(self._rng.random() * most_s)

    def _do(self, what: str, *services: Service) -> None:
        for service in services:
            self._pipeline.note(f"{what} {service.name}")
            getattr(service, what)()
