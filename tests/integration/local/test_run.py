"""The command `marketstream local` as users run it: a process of its own, real trades, Ctrl-C."""

import asyncio
import contextlib
import json
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from redis.asyncio import Redis

from tests.harness.clients import within

START_LIMIT_S = 90
STOP_LIMIT_S = 15  # the goal is 5

# Windows of the recording: open, high, low, close, volume, trades, and whether it is proven complete.
EXPECTED = {
    1610064000: ("39432.48", "39486.99", "39430.3", "39479.23", "16.081204", 350, False),
    1610064010: ("39479.22", "39499.98", "39460.39", "39491.98", "19.694925", 328, True),
    1610064020: ("39492.2", "39531.83", "39492.2", "39527.01", "14.574607", 531, True),
    1610064030: ("39527", "39550", "39474.51", "39474.52", "27.110413", 543, True),
}
OPEN = ("39474.51", "39503.52", "39449.68", "39491.76", "9.610447", 249, False)


class Run:
    """A running command."""

    def __init__(self, process: asyncio.subprocess.Process, data: Path) -> None:
        self.process = process
        self.data = data
        self.said = ""

    async def address(self) -> str:
        """Return the address that the command prints once the API is up."""
        assert self.process.stdout is not None
        async with asyncio.timeout(START_LIMIT_S):
            while line := (await self.process.stdout.readline()).decode():
                self.said += line
                if found := re.search(r"price +(http://\S+)/price", line):
                    return found[1]
        raise AssertionError(f"the command ended with {await self.process.wait()}:\n{self.said}")

    async def stop(self) -> float:
        """Press Ctrl-C, and return the seconds until the end of the process."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(STOP_LIMIT_S):
            await self.process.communicate()
        return time.monotonic() - began

    def endpoints(self) -> dict[str, str]:
        """Return the addresses of its servers."""
        endpoints: dict[str, str] = json.loads((self.data / "endpoints.json").read_text())
        return endpoints


@contextlib.asynccontextmanager
async def running(data: Path, *arguments: str) -> AsyncIterator[Run]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "marketstream", "local", "--port", "0", "--data", str(data), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield Run(process, data)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.communicate()


def recording_arguments(recordings: Path) -> tuple[str, ...]:
    file = recordings / "binance-BTCUSDT-trades-2021-01-08.csv"
    return ("--exchange", "replay", "--recording", str(file), "--as", "binance", "--speed", "max")


async def wait_for_end(client: httpx.AsyncClient) -> dict[str, Any]:
    """Return the open candle once the whole recording is counted."""

    async def all_counted() -> None:
        answer = await client.get("/current-candle")
        assert answer.status_code == 200
        assert answer.json()["trade_count"] == OPEN[5]

    await within(30, all_counted)
    candle: dict[str, Any] = (await client.get("/current-candle")).json()
    return candle


def shown(candle: dict[str, Any]) -> tuple[Any, ...]:
    names = ("open", "high", "low", "close", "volume", "trade_count", "complete")
    return tuple(candle[name] for name in names)


async def test_a_recording_gives_exact_candles_and_a_restart_resumes(tmp_path: Path, recordings: Path) -> None:
    data = tmp_path / "data"
    for attempt in ("first start", "restart"):
        async with running(data, *recording_arguments(recordings)) as run:
            async with httpx.AsyncClient(base_url=await run.address()) as client:
                open_candle = await wait_for_end(client)
                candles = (await client.get("/candles", params={"symbol": "BTCUSDT", "limit": 50})).json()
                minute = (await client.get("/candles", params={"interval": "1m"})).json()
            assert {candle["window_start"]: shown(candle) for candle in candles} == EXPECTED, attempt
            assert [candle["incomplete_reason"] for candle in candles] == ["unconfirmed", None, None, None]
            assert (open_candle["window_start"], *shown(open_candle)) == (1610064040, *OPEN)
            assert minute == [], "the minute is still open"
            await assert_stored(run.endpoints(), open_candle)
            await assert_second_copy_is_refused(data)
            assert await run.stop() < STOP_LIMIT_S
            assert run.process.returncode == 0
        assert not (data / "endpoints.json").exists()


async def assert_stored(endpoints: dict[str, str], open_candle: dict[str, Any]) -> None:
    connection = await asyncpg.connect(endpoints["database_url"])
    rows = await connection.fetch("SELECT * FROM candles_10s WHERE exchange = 'binance' ORDER BY window_start")
    await connection.close()
    assert [(row["window_start"], row["volume"]) for row in rows] == [
        (start, Decimal(expected[4])) for start, expected in EXPECTED.items()
    ]
    async with Redis.from_url(endpoints["redis_url"], decode_responses=True) as redis:
        fields = await redis.hgetall("BTCUSDT:current_candle")
        assert await redis.get("BTCUSDT:price") == OPEN[3]
    assert {name: str(open_candle[name]) for name in ("open", "high", "low", "close", "volume", "trade_count")} == {
        name: fields[name] for name in ("open", "high", "low", "close", "volume", "trade_count")
    }
    assert fields["complete"] == "false"


async def assert_second_copy_is_refused(data: Path) -> None:
    async with running(data, "--exchange", "simulator", "--symbols", "BTCUSDT") as second:
        output, _ = await asyncio.wait_for(second.process.communicate(), 30)
        assert second.process.returncode == 2
        assert str(data) in output.decode()


async def test_after_a_kill_nothing_is_counted_twice(tmp_path: Path, recordings: Path) -> None:
    data = tmp_path / "data"
    async with running(data, *recording_arguments(recordings)) as run:
        async with httpx.AsyncClient(base_url=await run.address()) as client:
            await wait_for_end(client)
        run.process.kill()
        await run.process.communicate()
    async with running(data, *recording_arguments(recordings)) as run:
        async with httpx.AsyncClient(base_url=await run.address()) as client:
            await wait_for_end(client)
            candles = (await client.get("/candles")).json()
        assert {candle["window_start"]: shown(candle) for candle in candles} == EXPECTED


async def test_the_manifest_is_simulated_without_the_exchange(tmp_path: Path) -> None:
    async with running(tmp_path / "data", "manifests/majors.yaml") as run:
        async with httpx.AsyncClient(base_url=await run.address()) as client:

            async def all_are_simulated() -> None:
                symbols = (await client.get("/symbols")).json()
                assert [bool(symbol["price"]) for symbol in symbols] == [True] * 3
                assert [(symbol["exchange"], symbol["symbol"], symbol["state"]) for symbol in symbols] == [
                    ("simulator", symbol, "simulated") for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")
                ]

            await within(60, all_are_simulated)
        assert "running the simulator instead" in run.said
