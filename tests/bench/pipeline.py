"""Measure the processor, from Kafka to committed candles, against a process that only reads.

Both read the same topics, several times in turn, so that other load on the machine affects both alike. The result is
the CPU time of the process, because the goals are for one core. Kafka, PostgreSQL and Redis are separate processes.
"""

import asyncio
import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from marketstream.kafka.topics import topic_name
from marketstream.local.servers import EmbeddedServers
from marketstream.settings import Settings

from tests.bench.database import database
from tests.bench.topics import fill
from tests.bench.trades import EXCHANGE, WINDOW_TRADES, records

SYMBOLS = tuple(f"B{number}USDT" for number in range(10))
LIMIT_S = 90.0
WATCH_S = 0.01


@dataclass(frozen=True)
class Load:
    """The topics to read: `trades` in all, `packing` of them in a record, and `batch` records in a batch of Kafka."""

    packing: int
    trades: int
    batch: int = 100
    goal: int | None = None
    """Trades per second on one core."""

    @property
    def name(self) -> str:
        """Part of the names of topics and groups."""
        return f"{self.packing}x{self.batch}"


LOADS = (
    Load(packing=1, trades=500_000, goal=200_000),
    Load(packing=10, trades=2_000_000, goal=700_000),
    Load(packing=50, trades=5_000_000, goal=1_000_000),
)


@dataclass(frozen=True)
class Took:
    """The duration of one run in seconds."""

    cpu_s: float
    clock_s: float


@dataclass(frozen=True)
class Measured:
    """Medians over the runs of one load."""

    load: Load
    reading: Took
    processing: Took
    ratios: list[float]
    """The CPU time of the reader divided by that of the processor, for each pair of runs."""

    @property
    def ratio(self) -> float:
        """The speed of the processor as a fraction of the reader's."""
        return statistics.median(self.ratios)


async def measure(servers: EmbeddedServers, load: Load, repetitions: int) -> Measured:
    """Fill the topics, then read and process them in turn, `repetitions` times."""
    settings = Settings(
        kafka_bootstrap=servers.kafka_bootstrap,
        database_url=servers.database_url,
        redis_url=servers.redis_url,
        exchange=EXCHANGE,
        default_exchange=EXCHANGE,
        symbols=SYMBOLS,
        topic_prefix=f"bench-{load.name}",
        http_host="127.0.0.1",
        http_port=0,
        log_level="warning",
    )
    each = load.trades // len(SYMBOLS)
    topics = {
        topic_name(settings.topic_prefix, EXCHANGE, symbol): records(symbol, each, load.packing, seed)
        for seed, symbol in enumerate(SYMBOLS)
    }
    ends = await fill(settings, topics, load.batch)
    reading, processing = [], []
    for number in range(repetitions):
        name = f"bench_{load.name}_{number}"
        reading.append(await _read(settings.but(consumer_group=f"{name}_reader"), each))
        async with database(settings.database_url, name) as url:
            processing.append(await _process(settings.but(consumer_group=name, database_url=url), ends, each))
    ratios = [reader.cpu_s / processor.cpu_s for reader, processor in zip(reading, processing, strict=True)]
    return Measured(load, _median(reading), _median(processing), ratios)


async def _read(settings: Settings, each: int) -> Took:
    async with _process_of(settings, "-m", "tests.bench.only_read") as process:
        async with asyncio.timeout(LIMIT_S):
            output, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"the reader exited with code {process.returncode}")
    answer = json.loads(output)
    if answer["trades"] != each * len(SYMBOLS):
        raise RuntimeError(f"the reader found {answer['trades']} trades, expected {each * len(SYMBOLS)}")
    return Took(answer["cpu_s"], answer["clock_s"])


async def _process(settings: Settings, ends: dict[str, int], each: int) -> Took:
    """Run the processor, and return the time from the claim of all symbols to the commit of the last record."""
    connection = await asyncpg.connect(settings.database_url)
    try:
        async with _process_of(settings, "-m", "marketstream", "processor") as process, asyncio.timeout(LIMIT_S):
            claimed = "SELECT count(*) FROM progress"
            while not (await _has_progress(connection)) or await connection.fetchval(claimed) < len(SYMBOLS):
                _must_run(process)
                await asyncio.sleep(WATCH_S)
            cpu, clock = _cpu_s(process.pid), time.perf_counter()
            while await connection.fetchval("SELECT sum(position) FROM progress") < sum(ends.values()):
                _must_run(process)
                await asyncio.sleep(WATCH_S)
            took = Took(_cpu_s(process.pid) - cpu, time.perf_counter() - clock)
        await _check(connection, each)
    finally:
        await connection.close()
    return took


async def _has_progress(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    return bool(await connection.fetchval("SELECT to_regclass('progress') IS NOT NULL"))


async def _check(connection: "asyncpg.Connection[asyncpg.Record]", each: int) -> None:
    """Check that the stored candles hold every trade. Raises RuntimeError if they do not."""
    expected = each * len(SYMBOLS)
    for table in ("candles_10s", "candles_1d"):
        trades = await connection.fetchval(f"SELECT sum(trade_count) FROM {table}")
        if trades != expected:
            raise RuntimeError(f"{table} holds {trades} trades, expected {expected}")
    incomplete = await connection.fetchval("SELECT count(*) FROM candles_10s WHERE NOT complete")
    if incomplete != 2 * len(SYMBOLS):  # first and last window of each symbol: the trades around them are unknown
        raise RuntimeError(f"{incomplete} candles are incomplete, expected {2 * len(SYMBOLS)}")
    candles = await connection.fetchval("SELECT count(*) FROM candles_10s")
    if abs(candles / len(SYMBOLS) - each / WINDOW_TRADES) > 1:
        raise RuntimeError(f"{expected} trades gave {candles} candles, expected one for each {WINDOW_TRADES}")


@contextlib.asynccontextmanager
async def _process_of(settings: Settings, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a Python process with these settings, and stop it afterwards."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments,
        cwd=Path(__file__).parents[2], env=environment | settings.to_environment(), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
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


def _must_run(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        raise RuntimeError(f"the processor exited with code {process.returncode}")


def _cpu_s(pid: int) -> float:
    """Return the CPU time of all threads of a process in seconds, more precisely than the clock ticks of psutil."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def _median(runs: list[Took]) -> Took:
    return Took(statistics.median(run.cpu_s for run in runs), statistics.median(run.clock_s for run in runs))
