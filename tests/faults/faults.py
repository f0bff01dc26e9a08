"""What is done to the pipeline. Each fault leaves everything running again."""

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
"""Seconds that a stopped processor waits for another to take its symbols: longer when it holds a lock on them."""


class Faults:
    """The faults by name, at random instants."""

    Fault: TypeAlias = Callable[[], Awaitable[None]]

    def __init__(self, rng: Random, pipeline: Pipeline, topics: Topics, live: LiveObserver) -> None:
        self._rng = rng
        self._pipeline = pipeline
        self._topics = topics
        self._live = live

    def deck(self) -> Iterator[tuple[str, Fault]]:
        """One fault after another without end, with its name: each once in every shuffle of all."""
        names = [name for name, member in vars(Faults).items() if iscoroutinefunction(member) and name[0] != "_"]
        while True:
            for name in self._rng.sample(names, len(names)):
                yield name, getattr(self, name)

    async def kill_processor(self) -> None:
        """One dies, and comes back before or after the group has missed it."""
        await self._kill_and_start([self._rng.choice(self._pipeline.processors)])

    async def kill_processors(self) -> None:
        """Nobody reads for a while."""
        await self._kill_and_start(self._pipeline.processors)

    async def kill_producer(self) -> None:
        """What the exchange says meanwhile is missed."""
        await self._kill_and_start([self._pipeline.producer])

    async def kill_all(self) -> None:
        """Producer and processors at once."""
        await self._kill_and_start([self._pipeline.producer, *self._pipeline.processors])

    async def stop_processor(self) -> None:
        """A zombie: it wakes when another owns its symbols, often just now, and goes on where it was."""
        await self._stop_until_replaced([self._rng.choice(self._pipeline.processors)])

    async def stop_processors(self) -> None:
        """Both sleep until the group has forgotten them; the first to wake takes everything."""
        first, second = self._rng.sample(self._pipeline.processors, 2)
        self._do("suspend", first, second)
        await asyncio.sleep(SESSION_S + self._rng.random())
        self._do("resume", first)
        await self._wait(SESSION_S)
        self._do("resume", second)

    async def stop_producer(self) -> None:
        """It sleeps, and then says all at once what it heard."""
        self._do("suspend", self._pipeline.producer)
        await self._wait(2.0)
        self._do("resume", self._pipeline.producer)

    async def stop_all(self) -> None:
        """Producer and a processor sleep at once."""
        await self._stop_until_replaced([self._rng.choice(self._pipeline.processors), self._pipeline.producer])

    async def replace_producer(self) -> None:
        """A second producer starts while the first one sleeps; for a while both speak."""
        producer, second = self._pipeline.producer, self._pipeline.second_producer
        self._do("suspend", producer)
        self._do("start", second)
        await self._wait(2.0)
        self._do("resume", producer)
        await self._wait(2.0)
        await self._end(second)

    async def rebalance(self) -> None:
        """A third processor joins and leaves."""
        fences = await self._pipeline.fences()
        self._do("start", self._pipeline.third_processor)
        await self._pipeline.claimed_since(fences, 10)
        await self._wait(1.0)
        await self._end(self._pipeline.third_processor)

    async def restart_postgres(self) -> None:
        """In good order, or by a crash."""
        crash = self._rng.random() < 0.5
        self._pipeline.note("crash postgres" if crash else "restart postgres")
        postgres = self._pipeline.servers.postgres
        await (postgres.kill() if crash else postgres.stop())
        await self._wait(1.0)
        await postgres.start()

    async def restart_kafka(self) -> None:
        """In good order."""
        self._pipeline.note("restart kafka")
        await restart(self._pipeline.servers.kafka)

    async def restart_redis(self) -> None:
        """It keeps nothing."""
        self._pipeline.note("restart redis")
        self._live.redis_loses_its_data()
        await restart(self._pipeline.servers.redis)

    async def flush_redis(self) -> None:
        """FLUSHALL, while a zombie may be asleep."""
        self._pipeline.note("FLUSHALL")
        self._live.redis_loses_its_data()
        async with Redis.from_url(self._pipeline.settings.redis_url) as redis:
            await redis.flushall()

    async def lose_records(self) -> None:
        """The topics lose records that were not read yet, or of windows that were open."""
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
        """In good order, or not."""
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
        self._pipeline.note("it is replaced" if replaced else "nobody has taken over yet")
        if self._rng.random() < 0.5:
            await self._wait(1.0)
        for service in self._rng.sample(services, len(services)):
            self._do("resume", service)

    async def _wait(self, most_s: float) -> None:
        """Until a random instant."""
        await asyncio.sleep(self._rng.random() * most_s)

    def _do(self, what: str, *services: Service) -> None:
        for service in services:
            self._pipeline.note(f"{what} {service.name}")
            getattr(service, what)()
