"""The whole pipeline on one machine: embedded servers, and the three services in one event loop."""

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
from marketstream.exchanges.errors import ExchangeError, UnknownSymbolError
from marketstream.exchanges.registry import open_exchange, symbols_of
from marketstream.local.errors import LocalError
from marketstream.local.manifest import read_manifest
from marketstream.local.options import LocalOptions
from marketstream.local.servers import EmbeddedServers
from marketstream.processor.service import run_processor
from marketstream.producer.service import run_producer
from marketstream.service import run_until, run_until_stopped
from marketstream.settings import Settings
from marketstream.telemetry import configure_logging

HOST = "127.0.0.1"

REACH_S = 4.0
"""Seconds that an exchange has for its first answer; meanwhile the servers start."""


class PortInUseError(LocalError):
    """Another program serves on the port."""


def run_local(options: LocalOptions) -> int:
    """Runs the pipeline until Ctrl-C or SIGTERM. The exit code.

    Raises LocalError, SettingsError, ExchangeError and whatever a service raises that cannot begin.
    """
    # The console belongs to what run_local says; a log line there is something that wants attention.
    given = Settings.from_environment({"LOG_LEVEL": "warning", **os.environ})
    configure_logging(given.log_level, given.log_format)
    _refuse_taken(options.port)
    wanted = _wanted(options, given)
    with _data_directory(options) as data:
        run_until_stopped(lambda stop: _run(options, wanted, data, stop))
    return 0


async def _run(options: LocalOptions, wanted: Settings, data: Path, stop: asyncio.Event) -> None:
    servers = EmbeddedServers(
        data,
        _say,
        kafka_bootstrap=wanted.kafka_bootstrap or None,
        database_url=wanted.database_url or None,
        redis_url=wanted.redis_url or None,
    )
    reachable = asyncio.create_task(_reachable(wanted))  # meanwhile the servers start
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
            # What runs is what is served, under the name under which it is stored.
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
    """Runs the services until `stop`, or until one of them, or a server, ends by itself: then raises what it raised."""
    ending = asyncio.Event()
    services = [
        asyncio.create_task(run_api(settings, ending, on_serving=lambda port: _announce(settings, servers, port))),
        asyncio.create_task(run_processor(settings, ending, history=history)),
        asyncio.create_task(run_producer(settings, ending, exchange=exchange)),
    ]
    try:
        await run_until(stop, servers.watch(), *map(asyncio.shield, services))  # services end by `ending`
    finally:
        ending.set()
        await asyncio.gather(*services, return_exceptions=True)


@contextlib.asynccontextmanager
async def _unless_stopped(servers: EmbeddedServers, stop: asyncio.Event, needed: "asyncio.Task[Any]") -> Any:
    """Enters the servers. When `stop` is set while they start, they are stopped at once and the block finds it set;
    when `needed` fails meanwhile, they are stopped and what it raised is raised."""
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


def _wanted(options: LocalOptions, given: Settings) -> Settings:
    """The settings with the exchange and the symbols that the options, or the manifest, ask for."""
    if options.recording is not None:
        settings = given.but(
            exchange="replay", symbols=options.symbols, recording=str(options.recording), replay_speed=options.speed
        )
        return settings.but(symbols=symbols_of(settings))
    if options.manifest is None:
        return given.but(exchange=options.exchange or "", symbols=options.symbols)
    manifest = read_manifest(options.manifest)
    wanted = given.but(
        exchange=options.exchange or manifest.exchange,
        symbols=options.symbols or manifest.symbols,
    )
    if wanted.exchange != manifest.exchange:
        return wanted  # the addresses are those of the other
    return wanted.but(
        exchange_ws_url=given.exchange_ws_url or manifest.ws_url,
        exchange_rest_url=given.exchange_rest_url or manifest.rest_url,
    )


async def _reachable(wanted: Settings) -> Settings:
    """The settings; with the simulator, and a word about it, where the exchange cannot be reached.

    Raises UnknownSymbolError when it is reached, but does not list all symbols.
    """
    exchange = open_exchange(wanted)
    try:
        async with asyncio.timeout(REACH_S):
            await exchange.check(wanted.symbols)
    except UnknownSymbolError:
        raise
    except (ExchangeError, OSError, TimeoutError) as error:
        if wanted.exchange == "replay":
            raise
        _say(
            f"{wanted.exchange} cannot be reached ({str(error) or 'no answer'}): "
            f"simulating, stored under the exchange `simulator`"
        )
        return wanted.but(exchange="simulator")
    finally:
        await exchange.close()
    return wanted


def _refuse_taken(port: int) -> None:
    """Found out before anything is started, which takes seconds."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PortInUseError(
                f"port {port} cannot be served on ({error.strerror}): stop what uses it, or choose another with --port"
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
        f"\nMarketStream serves {settings.exchange} {', '.join(settings.symbols)}\n\n"
        f"  dashboard       {address}/dashboard\n"
        f"  price           {address}/price\n"
        f"  candles         {address}/candles?limit=50\n"
        f"  open candle     {address}/current-candle\n"
        f"  symbols         {address}/symbols\n"
        f"  documentation   {address}/docs\n\n"
        f"  Kafka           {servers.kafka_bootstrap}\n"
        f"  PostgreSQL      {servers.database_url}\n"
        f"  Redis           {servers.redis_url}\n\n"
        f"Ctrl-C stops it."
    )


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is the console of a command
