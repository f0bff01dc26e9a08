"""The API as a process. It serves from the start, and answers 503 until its stores are reachable."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Final

from marketstream.api.app import create_app
from marketstream.api.live.hub import Hub
from marketstream.api.live.outlet import WEBSOCKET
from marketstream.api.stores import Watch
from marketstream.postgres.connect import Pool, close_pool, lazy_pool
from marketstream.postgres.migrate import migrate
from marketstream.postgres.reader import StoreReader
from marketstream.redis.client import check_server, connect
from marketstream.redis.frames import FrameListener
from marketstream.redis.reader import LiveReader
from marketstream.service import Health, run_until_stopped, serving
from marketstream.settings import Settings
from marketstream.telemetry import configure_logging, logger

log = logger(__name__)

CONNECTIONS: Final = 8
"""Maximum number of connections to PostgreSQL: a read takes about 1 ms, and the processors need connections, too."""


def main(settings: Settings) -> None:
    """Serve until SIGTERM. Raises SettingsError when a setting is missing, OSError when the address is in use."""
    settings.require("database_url", "redis_url")
    configure_logging(settings.log_level, settings.log_format)
    run_until_stopped(lambda stop: run_api(settings, stop))


async def run_api(
    settings: Settings,
    stop: asyncio.Event,
    *,
    on_serving: Callable[[int], None] | None = None,
    health: Health | None = None,
) -> None:
    """Serve until `stop` is set. Calls `on_serving` with the port, which is a free one if HTTP_PORT is 0.

    Raises SettingsError when a setting is missing, LiveStoreRefusedError when REDIS_URL leads to a Redis Cluster, and
    OSError when the address is in use.
    """
    health = health or Health()
    async with AsyncExitStack() as stack:
        tasks: list[asyncio.Task[None]] = []
        stack.push_async_callback(_ended, tasks)
        pool = await lazy_pool(settings, size=CONNECTIONS)
        stack.push_async_callback(close_pool, pool)  # by force if necessary, which ends a task that hangs in a query
        redis = connect(settings)
        stack.push_async_callback(redis.aclose)
        await check_server(redis)
        store_reader, live_reader = StoreReader(pool), LiveReader(redis)
        for store, probe in (("postgresql", _migrated(pool, store_reader)), ("redis", live_reader.ping)):
            tasks.append(_watch(health, store, probe))
            stack.callback(tasks[-1].cancel)
        hub = Hub(FrameListener(settings), store_reader, live_reader)
        tasks.append(asyncio.create_task(hub.run(), name="live data"))
        stack.callback(tasks[-1].cancel)
        health.watch("live data", tasks[-1])
        app = create_app(settings, store_reader, live_reader, hub, health)
        port = await stack.enter_async_context(serving(app, settings.http_host, settings.http_port, **WEBSOCKET))
        log.info("API started", host=settings.http_host, port=port)
        if on_serving is not None:
            on_serving(port)
        await stop.wait()


def _watch(health: Health, store: str, probe: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    """Probe the store in a task. Readiness depends on the store and on that task."""
    watch = Watch(store, probe)
    task = asyncio.create_task(watch.run(), name=f"watch {store}")
    health.add(store, watch.problem)
    health.watch(task.get_name(), task)
    return task


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


def _migrated(pool: Pool, reader: StoreReader) -> Callable[[], Awaitable[None]]:
    """Return a probe of the database that first applies the migrations.

    The migrations are applied again after every failure, because after an outage the database may be a new, empty one.
    """
    migrated = False

    async def probe() -> None:
        nonlocal migrated
        if not migrated:
            await migrate(pool)
        migrated = False
        await reader.ping()
        migrated = True

    return probe
