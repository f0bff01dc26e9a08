"""The embedded servers together: started in parallel, watched, and stopped in parallel."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from marketstream.local.directory import DataDirectory
from marketstream.local.errors import ServerDiedError
from marketstream.local.kafka import KafkaServer
from marketstream.local.postgres import PostgresServer
from marketstream.local.process import ServerProcess
from marketstream.local.redis import RedisServer

_WATCH_INTERVAL = 0.5  # seconds


class EmbeddedServers:
    """Kafka, PostgreSQL and Redis in one data directory, from entering the context to leaving it.

    If the address of a server is given (`kafka_bootstrap`, `database_url`, `redis_url`), that server already runs
    elsewhere and is not started; the attribute `kafka`, `postgres` or `redis` is then None. `report` receives the
    progress, a line at a time. `kafka_properties` override the properties of KafkaServer.

    Entering raises DirectoryInUseError, DirectoryUnusableError, FetchError or ServerStartError, and then leaves nothing
    running.
    """

    def __init__(
        self,
        directory: Path,
        report: Callable[[str], None] = lambda _line: None,
        *,
        kafka_bootstrap: str | None = None,
        database_url: str | None = None,
        redis_url: str | None = None,
        kafka_properties: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = DataDirectory(directory)
        path = self.directory.path
        self.kafka = None if kafka_bootstrap else KafkaServer(path, report, kafka_properties)
        self.postgres = None if database_url else PostgresServer(path)
        self.redis = None if redis_url else RedisServer(path)
        self._given = (kafka_bootstrap, database_url, redis_url)
        self._report = report
        self._running = AsyncExitStack()

    @property
    def kafka_bootstrap(self) -> str:
        """The host:port of the broker."""
        return self.kafka.address if self.kafka else self._given[0] or ""

    @property
    def database_url(self) -> str:
        """The postgresql:// URL of the database, with its password."""
        return self.postgres.address if self.postgres else self._given[1] or ""

    @property
    def redis_url(self) -> str:
        """The redis:// URL of database 0."""
        return self.redis.address if self.redis else self._given[2] or ""

    @property
    def servers(self) -> list[ServerProcess]:
        """The servers that this object runs."""
        return [server for server in (self.kafka, self.postgres, self.redis) if server is not None]

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.enter_context(self.directory)
            stack.push_async_callback(self._stop)
            await self._start()
            self._running = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._running.aclose()

    async def watch(self) -> None:
        """Watch the servers and bound their logs until cancelled.

        Raises ServerDiedError when a server ends unexpectedly, that is, not by stop() or kill().
        """
        while True:
            for server in self.servers:
                if server.ended:
                    raise ServerDiedError(
                        f"{server.name} ended unexpectedly with exit code {server.exit_code}. "
                        f"The end of {server.log}:\n{server.log_tail()}"
                    )
                server.bound_log()
            await asyncio.sleep(_WATCH_INTERVAL)

    async def _start(self) -> None:
        if self.servers:
            self._report(f"Starting {', '.join(server.name for server in self.servers)} in {self.directory.path}")
        # A task group would raise an exception group; the caller needs the first error, which says what to do.
        tasks = [asyncio.ensure_future(server.start()) for server in self.servers]
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        self.directory.write_endpoints(
            {
                "kafka_bootstrap": self.kafka_bootstrap,
                "database_url": self.database_url,
                "redis_url": self.redis_url,
            }
        )

    async def _stop(self) -> None:
        await asyncio.gather(*(server.stop() for server in self.servers))
