"""The pipeline of the kinds of faults: a producer and two processors on real servers, and a Redis that fails over."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from marketstream.api.freshness import state_of
from marketstream.kafka.topics import topic_name
from marketstream.local.redis import RedisServer
from marketstream.redis.client import connect
from marketstream.redis.hashes import LiveStatus
from marketstream.redis.keys import Keys
from marketstream.redis.reader import LiveReader
from marketstream.settings import Settings
from redis.asyncio import Redis

from tests.faults.kinds.clock import Clock
from tests.faults.kinds.exchange import NAME, RATES
from tests.faults.service import Service
from tests.harness.address import Address
from tests.harness.clients import within

SERVICES: Final = {"producer": "producer", "first": "processor", "second": "processor"}


class Pipeline:
    """The services with their clocks, and their history of faults."""

    def __init__(self, settings: Settings, logs: Path, history: list[str]) -> None:
        self.settings = settings
        self.history = history
        self._began = time.monotonic()
        self.clocks = {name: Clock(logs / f"{name}.clock") for name in SERVICES}
        self.services = {
            name: Service(
                name,
                ["tests.faults.kinds.service", kind, str(self.clocks[name].path)],
                settings,
                logs / f"{name}.log",
            )
            for name, kind in SERVICES.items()
        }

    def note(self, what: str) -> None:
        """Add to the history of the pipeline's faults."""
        self.history.append(f"{time.monotonic() - self._began:7.2f} s  {what}")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run all services inside the block; none may exit by itself."""
        try:
            for service in self.services.values():
                service.start()
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch())
                yield
                watching.cancel()
        finally:
            for service in self.services.values():
                service.close()

    async def _watch(self) -> None:
        while True:
            for service in self.services.values():
                service.assert_alive()
            await asyncio.sleep(0.2)

    def topic(self, symbol: str) -> str:
        """Return the topic of a symbol."""
        return topic_name(self.settings.topic_prefix, NAME, symbol)

    async def statuses(self) -> dict[str, LiveStatus]:
        """Return the live status of each symbol, as any reader of Redis sees it."""
        redis = connect(self.settings)
        try:
            found = await LiveReader(redis).statuses([(NAME, symbol) for symbol in RATES])
        finally:
            await redis.aclose()
        return {symbol: status or LiveStatus() for symbol, status in zip(RATES, found, strict=True)}

    async def clock_errors_s(self) -> dict[str, float]:
        """Return by how many seconds the clock of each symbol's processor is ahead, as its live state shows."""
        redis = connect(self.settings)
        try:
            keys = {symbol: Keys.of(NAME, symbol).status for symbol in RATES}
            return {
                symbol: float(await redis.hget(key, "updated_at") or 0) - time.time() for symbol, key in keys.items()
            }
        finally:
            await redis.aclose()

    async def states(self) -> dict[str, str]:
        """Return the state of each symbol, as of its newest data: the exchange's time is not ours."""
        return {
            symbol: state_of(NAME, status, status.heard_until or 0.0)
            for symbol, status in (await self.statuses()).items()
        }


class RedisPair:
    """A primary and its replica behind one address."""

    def __init__(self, primary: RedisServer, replica: RedisServer, address: Address, url: str) -> None:
        self.primary = primary
        self.replica = replica
        self.url = url
        self._address = address

    async def fail_over(self, *, crash: bool) -> None:
        """Make the replica the primary, and the old primary its replica, after a crash if asked for."""
        old, new = self.primary, self.replica
        if crash:
            await old.kill()
        await _order(new, "NO", "ONE")
        self._address.port = new.port
        self.primary, self.replica = new, old
        await old.start()
        await _order(old, "127.0.0.1", str(new.port))

    async def in_step(self) -> None:
        """Wait until the replica has a link to the primary and its data."""

        async def linked() -> None:
            async with Redis(host="127.0.0.1", port=self.replica.port, decode_responses=True) as client:
                assert (await client.info("replication"))["master_link_status"] == "up"

        await within(60, linked)


async def _order(server: RedisServer, *master: str) -> None:
    async with Redis(host="127.0.0.1", port=server.port) as client:
        await client.execute_command("REPLICAOF", *master)


@asynccontextmanager
async def redis_pair(directory: Path) -> AsyncIterator[RedisPair]:
    """Run a primary and a replica inside the block."""
    servers = []
    for name in ("one", "two"):
        (directory / name).mkdir()
        servers.append(RedisServer(directory / name))
    async with AsyncExitStack() as stack:
        for server in servers:
            stack.push_async_callback(server.stop)
            await server.start()
            async with Redis(host="127.0.0.1", port=server.port) as client:
                await client.config_set("repl-diskless-sync-delay", 0)
        address = Address(servers[0].port)
        pair = RedisPair(servers[0], servers[1], address, await stack.enter_async_context(address.served()))
        await _order(servers[1], "127.0.0.1", str(servers[0].port))
        await pair.in_step()
        yield pair
