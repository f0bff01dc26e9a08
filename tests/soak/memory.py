"""Measure the memory of each service, as a separate process under load."""

import asyncio
import contextlib
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from marketstream.local.loopback import free_port
from marketstream.local.servers import EmbeddedServers
from marketstream.settings import Settings

SYMBOLS = (
    "BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT", "DOGEUSDT", "ADAUSDT", "LTCUSDT", "AVAXUSDT", "LINKUSDT",
)  # fmt: skip
LIMITS_MB = {"producer": 80.0, "processor": 80.0, "api": 120.0}
SAMPLE_S = 1.0
POLLS = 20
"""Requests to the API per second."""

PATHS = ("/price", "/candles", "/candles?interval=1m&limit=1000", "/current-candle", "/symbols", "/metrics")


@dataclass
class Memory:
    """The resident memory of a service over time, in seconds and MB."""

    seconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)

    @property
    def last(self) -> float:
        """The memory at the end in MB."""
        return statistics.median(self.megabytes[-10:])

    @property
    def slope(self) -> float:
        """The growth in MB per hour over the second half, by the medians of its halves, which one jump hardly moves."""
        half = len(self.seconds) // 2
        quarter = half + (len(self.seconds) - half) // 2
        rise = statistics.median(self.megabytes[quarter:]) - statistics.median(self.megabytes[half:quarter])
        return rise / (statistics.median(self.seconds[quarter:]) - statistics.median(self.seconds[half:quarter])) * 3600


async def measure(folder: Path, minutes: float) -> dict[str, Memory]:
    """Run the three services on a simulated market for so many minutes. Raises RuntimeError if one of them exits."""
    async with EmbeddedServers(folder) as servers, contextlib.AsyncExitStack() as stack:
        settings = Settings(
            kafka_bootstrap=servers.kafka_bootstrap,
            database_url=servers.database_url,
            redis_url=servers.redis_url,
            exchange="simulator",
            default_exchange="simulator",
            symbols=SYMBOLS,
            http_host="127.0.0.1",
            log_level="warning",
        )
        ports = {name: free_port() for name in LIMITS_MB}
        processes = {
            name: await stack.enter_async_context(_service(name, settings.but(http_port=port)))
            for name, port in ports.items()
        }
        polling = asyncio.create_task(_poll(ports["api"]))
        memory = {name: Memory() for name in processes}
        started = time.monotonic()
        try:
            while time.monotonic() - started < minutes * 60:
                await asyncio.sleep(SAMPLE_S)
                for name, process in processes.items():
                    if process.returncode is not None:
                        raise RuntimeError(f"the {name} exited with code {process.returncode}")
                    memory[name].seconds.append(time.monotonic() - started)
                    memory[name].megabytes.append(psutil.Process(process.pid).memory_info().rss / 1e6)
                if polling.done():
                    polling.result()
        finally:
            polling.cancel()
        await _must_have_worked(ports["api"])
        return memory


@contextlib.asynccontextmanager
async def _service(name: str, settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "marketstream", name, env=environment | settings.to_environment()
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def _poll(port: int) -> None:
    """Request all paths, over and over."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        while True:
            for path in PATHS:
                with contextlib.suppress(httpx.TransportError):  # not started yet
                    await client.get(path)
                await asyncio.sleep(1 / POLLS)


async def _must_have_worked(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        symbols = (await client.get("/symbols")).json()
        if len(symbols) != len(SYMBOLS):
            raise RuntimeError(f"{len(symbols)} symbols are live, expected {len(SYMBOLS)}: {symbols}")
        candles = (await client.get("/candles")).json()
        if not candles:
            raise RuntimeError("no candle was stored")
