"""Many clients of one API process: the cost of a message compared with a bare broadcast of the same bytes."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest
from marketstream.settings import Settings
from websockets.asyncio.client import connect

from tests.browser.conftest import Api
from tests.browser.market import Market

CLIENTS = int(os.environ.get("CLIENTS", "1000"))
SECONDS = 10
RATE = 1000
MOST_RATIO = 1.5
"""Times the cost of the bare broadcast that a message may have: this process also reads Redis and encodes."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def crowd(*arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.browser.crowd", *map(str, arguments),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert await process.stdout.readline()
        yield process
    finally:
        process.kill()
        await process.wait()


def cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


@pytest.mark.soak
async def test_a_message_costs_about_as_much_as_a_bare_broadcast(database_url: str, redis_url: str) -> None:
    port = free_port()
    settings = Settings(database_url=database_url, redis_url=redis_url, http_host="127.0.0.1", http_port=port)
    messages: list[str] = []
    async with Market(settings, ["BTCUSDT"]) as market:
        await market.fill(10)
        api = Api(settings)
        await api.start()
        try:
            async with connect(f"ws://127.0.0.1:{port}/ws", compression=None) as one, crowd("follow", port, CLIENTS):
                await one.send(json.dumps({"type": "subscribe", "streams": [{"symbol": "BTCUSDT", "limit": 0}]}))
                async with market.trading(RATE, close=False):
                    await asyncio.sleep(1)
                    begun = cpu_s(api.pid)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(SECONDS):
                            while True:
                                messages.append(str(await one.recv()))
                    ours_us = (cpu_s(api.pid) - begun) / len(messages) / CLIENTS * 1e6
        finally:
            await api.stop()
    bare_us = await bare(messages)
    report: dict[str, Any] = {
        "clients": CLIENTS, "messages": len(messages), "bytes": sum(map(len, messages)) // len(messages),
        "cpu_us_per_message": round(ours_us, 2), "bare_us_per_message": round(bare_us, 2),
    }  # fmt: skip
    print(json.dumps(report))
    assert ours_us < bare_us * MOST_RATIO


async def bare(messages: list[str]) -> float:
    """Return the CPU time (µs) of each of the same messages at the same pace, sent by `websockets.broadcast`."""
    port = free_port()
    async with crowd("serve", port) as server, crowd("listen", port, CLIENTS):
        assert server.stdin is not None
        begun = cpu_s(server.pid)
        for message in messages:
            server.stdin.write(message.encode() + b"\n")
            await server.stdin.drain()
            await asyncio.sleep(SECONDS / len(messages) * 0.9)
        await asyncio.sleep(0.5)
        return (cpu_s(server.pid) - begun) / len(messages) / CLIENTS * 1e6
