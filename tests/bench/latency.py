"""Measure the latency from the exchange to a client of /ws, at 1,000 trades a second over three symbols.

The exchange, which speaks Binance's protocol, the producer, the processor and the API are separate processes, as in
production. The client is this process. All share one machine and so one clock. Two latencies are measured for each
message with trades, both until the client has received it:

- since the producer received the newest trade from the exchange: `received_us` of the record;
- since the oldest trade happened at the exchange. This trade also waited for the others of its record and message.
"""

import asyncio
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from marketstream.local.loopback import free_port
from marketstream.local.servers import EmbeddedServers
from marketstream.market.window import WINDOW_S
from marketstream.settings import Settings
from websockets.asyncio.client import connect

from tests.bench.database import database
from tests.faults.service import Service

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
RATE = 1_000
MEASURED_S = 40
WARM_UP_S = 5
START_LIMIT_S = 60
GOAL_MS = 50
"""The goal for the 99th percentile, without the times for which trades are gathered into records and messages."""

SILENCE_S = 10

_CLOSING = (0.9, 1.6)
"""The seconds after a window's end in which its candle is closed, stored, rolled up and sent. The grace is 1 s."""


@dataclass(frozen=True)
class Measured:
    """The latency of each message in ms."""

    what: str
    ms: list[float]
    goal_ms: float | None = None

    @property
    def p50(self) -> float:
        """The median."""
        return statistics.median(self.ms)

    @property
    def p99(self) -> float:
        """The 99th percentile."""
        return statistics.quantiles(self.ms, n=100)[-1]


class Running(NamedTuple):
    """A running pipeline, in which all symbols have a price."""

    settings: Settings
    api_port: int
    api: Service


async def measure(servers: EmbeddedServers) -> list[Measured]:
    """Run the pipeline for MEASURED_S seconds. Raises RuntimeError when trades are missing."""
    async with running(servers) as pipeline:
        return _summary(pipeline.settings, await _listen(pipeline.api_port))


@contextlib.asynccontextmanager
async def running(servers: EmbeddedServers) -> AsyncIterator[Running]:
    """Run the exchange and the services."""
    async with database(servers.database_url, "bench_latency") as url, contextlib.AsyncExitStack() as stack:
        settings = Settings(
            kafka_bootstrap=servers.kafka_bootstrap, database_url=url, redis_url=servers.redis_url,
            exchange="binance", symbols=SYMBOLS, topic_prefix="bench-latency", consumer_group="bench-latency",
            http_host="127.0.0.1", http_port=0, log_level="warning",
        )  # fmt: skip
        ports = {name: free_port() for name in ("exchange", "processor", "producer", "api")}
        market = f"127.0.0.1:{ports['exchange']}"
        settings = settings.but(exchange_ws_url=f"ws://{market}", exchange_rest_url=f"http://{market}")
        commands = {name: ["marketstream", name] for name in ports} | {
            "exchange": [
                "tests.harness.binance", "--port", str(ports["exchange"]), "--symbols", ",".join(SYMBOLS),
                "--rate", str(RATE / len(SYMBOLS)), "--past", "30",
            ]
        }  # fmt: skip
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="marketstream-bench-")))
        services = {
            name: Service(name, commands[name], settings.but(http_port=port), logs / f"{name}.log")
            for name, port in ports.items()
        }
        for name, service in services.items():
            service.start()
            stack.callback(service.close)
            if name == "exchange":  # a producer exits if it cannot reach its exchange
                await _until(f"http://{market}/api/v3/ping", lambda _: True)
        await _until(f"http://127.0.0.1:{ports['api']}/symbols", _has_all_prices)
        yield Running(settings, ports["api"], services["api"])


async def _until(url: str, holds: Callable[[Any], bool]) -> None:
    """Wait until the condition holds for the response."""
    async with httpx.AsyncClient() as client, asyncio.timeout(START_LIMIT_S):
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await client.get(url)
                if answer.is_success and holds(answer.json()):
                    return
            await asyncio.sleep(0.1)


def _has_all_prices(symbols: list[dict[str, Any]]) -> bool:
    return sum(bool(symbol["price"]) for symbol in symbols) == len(SYMBOLS)


@dataclass(frozen=True)
class _Message:
    """A message with trades: the times (Unix µs) of its arrival, of its newest trade's receipt and of its trades."""

    symbol: str
    came_us: int
    received_us: int
    ids: list[int]
    times_us: list[int]


async def _listen(port: int) -> list[_Message]:
    messages: list[_Message] = []
    async with connect(f"ws://127.0.0.1:{port}/ws", compression=None, max_size=None) as socket:
        streams = [{"symbol": symbol, "interval": "10s", "limit": 1} for symbol in SYMBOLS]
        await socket.send(json.dumps({"type": "subscribe", "streams": streams}))
        begin_s = time.monotonic() + WARM_UP_S
        while (now_s := time.monotonic()) < begin_s + MEASURED_S:
            text = await asyncio.wait_for(socket.recv(decode=False), SILENCE_S)
            came_us = time.time_ns() // 1000
            told = json.loads(text)
            if told["type"] == "trades" and now_s >= begin_s:
                ids, times = ([trade[field] for trade in told["trades"]] for field in (0, 1))
                messages.append(_Message(told["symbol"], came_us, told["received_us"], ids, times))
    return messages


def _summary(settings: Settings, messages: Sequence[_Message]) -> list[Measured]:
    for symbol in SYMBOLS:
        ids = [trade_id for message in messages if message.symbol == symbol for trade_id in message.ids]
        if ids != list(range(ids[0], ids[0] + len(ids))):
            raise RuntimeError(f"{symbol}: the trades of the messages have holes or are out of order")
        if len(ids) < RATE / len(SYMBOLS) * MEASURED_S / 2:
            raise RuntimeError(f"{symbol}: received only {len(ids)} trades in {MEASURED_S} s")
    goal_ms = GOAL_MS + settings.pack_ms + settings.publish_ms
    received = [(message.came_us, message.came_us - message.received_us) for message in messages]
    happened = [(message.came_us, message.came_us - min(message.times_us)) for message in messages]
    closing = [(came_us, took_us) for came_us, took_us in received if _is_closing(came_us)]
    return [
        Measured(what, [took_us / 1000 for _, took_us in took], goal)
        for what, took, goal in (
            ("since the newest trade was received", received, goal_ms),
            ("the same, while windows close", closing, goal_ms),
            ("since the oldest trade happened", happened, None),
        )
    ]


def _is_closing(came_us: int) -> bool:
    """Return True while the windows of all symbols are being closed and stored."""
    return _CLOSING[0] <= came_us / 1e6 % WINDOW_S <= _CLOSING[1]
