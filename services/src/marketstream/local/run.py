"""`marketstream local`: the embedded servers, and the three services in one event loop."""

import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from marketstream.api.main import run_api
from marketstream.exchanges.base import Exchange
from marketstream.exchanges.registry import open_exchange
from marketstream.kafka.topics import topic_names
from marketstream.local.errors import PortInUseError
from marketstream.local.options import LocalOptions
from marketstream.local.secrets import without_secrets
from marketstream.local.servers import EmbeddedServers
from marketstream.local.source import reachable_settings, requested_settings
from marketstream.postgres.connect import check_address
from marketstream.processor.service import run_processor
from marketstream.producer.service import run_producer
from marketstream.redis.client import check_redis_url
from marketstream.service import run_until, run_until_stopped
from marketstream.settings import Settings
from marketstream.telemetry import configure_logging

HOST = "127.0.0.1"


def run_local(options: LocalOptions) -> int:
    """Run the pipeline until Ctrl-C or SIGTERM, and return the exit code.

    Raises LocalError, SettingsError, ExchangeError, and the error of a service that cannot start.
    """
    # The console is for the messages of run_local; a log line on it must be worth attention.
    environment = Settings.from_environment({"LOG_LEVEL": "warning", **os.environ})
    configure_logging(environment.log_level, environment.log_format)
    _check_port(options.port)
    requested = requested_settings(options, environment)
    topic_names(
        requested.topic_prefix, options.store_as or requested.exchange, requested.symbols
    )  # raises SettingsError
    if requested.database_url:
        check_address(requested)  # before servers are started, which takes seconds
    if requested.redis_url:
        check_redis_url(requested)
    with _data_directory(options) as data:
        run_until_stopped(lambda stop: _run(options, requested, data, stop))
    return 0


async def _run(options: LocalOptions, requested: Settings, data: Path, stop: asyncio.Event) -> None:
    servers = EmbeddedServers(
        data,
        _say,
        kafka_bootstrap=requested.kafka_bootstrap or None,
        database_url=requested.database_url or None,
        redis_url=requested.redis_url or None,
    )
    reachable = asyncio.create_task(
        reachable_settings(requested, _say, options.store_as)
    )  # meanwhile the servers start
    try:
        async with _unless_stopped(servers, stop, reachable):
            if stop.is_set():
                return
            settings = (await reachable).but(
                kafka_bootstrap=servers.kafka_bootstrap,
                database_url=servers.database_url,
                redis_url=servers.redis_url,
                http_host=HOST,
                http_port=options.port,
            )
            exchange = open_exchange(settings, stored_as=options.store_as)
            # The API serves the exchange that runs, under the name under which its trades are stored.
            settings = settings.but(exchange=exchange.name, default_exchange=exchange.name)
            history = None if options.recording else exchange
            try:
                await _run_services(settings, exchange, history, servers, stop)
            finally:
                await exchange.close()
            _say("Stopping")
    finally:
        reachable.cancel()
        await asyncio.gather(reachable, return_exceptions=True)


async def _run_services(
    settings: Settings, exchange: Exchange, history: Exchange | None, servers: EmbeddedServers, stop: asyncio.Event
) -> None:
    """Run the services until `stop` is set, or until a service or a server ends unexpectedly; then raise its error."""
    ending = asyncio.Event()
    services = [
        asyncio.create_task(run_api(settings, ending, on_serving=lambda port: _announce(settings, servers, port))),
        asyncio.create_task(run_processor(settings, ending, history=history)),
        asyncio.create_task(run_producer(settings, ending, exchange=exchange)),
    ]
    try:
        await run_until(stop, servers.watch(), *map(asyncio.shield, services))  # the services end by `ending`
    finally:
        ending.set()
        await asyncio.gather(*services, return_exceptions=True)


@contextlib.asynccontextmanager
async def _unless_stopped(servers: EmbeddedServers, stop: asyncio.Event, needed: "asyncio.Task[Any]") -> Any:
    """Run the servers during the block.

    If `stop` is set during the start, stop the servers and still run the block, which must check `stop`. If
    `needed` fails during the start, stop the servers and raise the error of `needed`.
    """
    entering, stopping = asyncio.create_task(servers.__aenter__()), asyncio.create_task(stop.wait())
    waiting: set[asyncio.Task[Any]] = {entering, stopping, needed}
    while waiting and not (entering.done() or stopping.done() or _failed(needed)):
        _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not entering.done():
        entering.cancel()
        await asyncio.wait([entering])
        if _failed(needed):
            await needed
        yield
        return
    await entering
    try:
        yield
    finally:
        await servers.__aexit__(None, None, None)


def _failed(task: "asyncio.Task[Any]") -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


def _check_port(port: int) -> None:
    """Raise PortInUseError if the port is taken, before anything starts: a start takes seconds."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PortInUseError(
                f"cannot listen on port {port} ({error.strerror}): "
                f"stop the program that uses the port, or choose another port with --port"
            ) from error


@contextlib.contextmanager
def _data_directory(options: LocalOptions) -> Iterator[Path]:
    if options.ephemeral:
        with tempfile.TemporaryDirectory(prefix="marketstream-", ignore_cleanup_errors=True) as path:
            yield Path(path)
    else:
        yield options.data


def _announce(settings: Settings, servers: EmbeddedServers, port: int) -> None:
    address = f"http://{HOST}:{port}"
    _say(
        f"\nMarketStream is running: {', '.join(settings.symbols)} from {settings.exchange}\n\n"
        f"  dashboard       {address}/dashboard\n"
        f"  price           {address}/price\n"
        f"  candles         {address}/candles?limit=50\n"
        f"  open candle     {address}/current-candle\n"
        f"  symbols         {address}/symbols\n"
        f"  documentation   {address}/docs\n\n"
        f"  Kafka           {servers.kafka_bootstrap}\n"
        f"  PostgreSQL      {servers.database_url if servers.postgres else without_secrets(servers.database_url)}\n"
        f"  Redis           {servers.redis_url if servers.redis else without_secrets(servers.redis_url)}\n\n"
        f"Press Ctrl-C to stop."
    )


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the console of a command
