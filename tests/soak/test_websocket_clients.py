"""A thousand clients of /ws while the pipeline runs: the API's cost of a message, compared with a bare broadcast."""

import asyncio
import json
import time
from pathlib import Path
from typing import Final

import httpx
import psutil
import pytest
from marketstream.local.servers import EmbeddedServers
from websockets.asyncio.client import connect

from tests.bench.latency import RATE, SYMBOLS, Running, running
from tests.integration.api.live.test_load import CLIENTS, MOST_RATIO, crowd, free_port

SECONDS: Final = 30
SILENCE_S: Final = 10
BEHIND: Final = "marketstream_api_websocket_behind_total"
SUBSCRIBE: Final = json.dumps({"type": "subscribe", "streams": [{"symbol": SYMBOLS[0], "interval": "10s", "limit": 0}]})


@pytest.mark.soak
async def test_a_thousand_clients_cost_little_more_than_a_bare_broadcast(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with EmbeddedServers(tmp_path) as servers, running(servers) as pipeline:
        alone_s, _ = await listened(pipeline)
        async with crowd("follow", pipeline.api_port, CLIENTS):
            together_s, messages = await listened(pipeline)
            assert await left_out(pipeline) == 0, "some clients missed messages: the comparison is invalid"
    bare_s = await broadcast(messages)
    sent = len(messages) * CLIENTS
    with capsys.disabled():
        print(
            f"\n{CLIENTS} clients of one of {len(SYMBOLS)} symbols, {RATE} trades/s, {len(messages) / SECONDS:.0f} "
            f"messages/s to each, {sum(len(text) for _, text in messages) // len(messages)} bytes\n"
            f"  the API:            {together_s / sent * 1e6:.2f} µs of CPU a message and client; "
            f"{together_s / SECONDS:.0%} of a core, {alone_s / SECONDS:.0%} of it without the clients\n"
            f"  a bare broadcast:   {bare_s / sent * 1e6:.2f} µs\n"
            f"  ratio:              {together_s / bare_s:.2f}"
        )
    assert together_s < bare_s * MOST_RATIO


async def listened(pipeline: Running) -> tuple[float, list[tuple[float, str]]]:
    """Return the API's CPU seconds over SECONDS, and the times and texts of the messages that one client received."""
    process = pipeline.api._process
    assert process is not None
    pid, messages = process.pid, list[tuple[float, str]]()
    async with connect(f"ws://127.0.0.1:{pipeline.api_port}/ws", compression=None, max_size=None) as socket:
        await socket.send(SUBSCRIBE)
        await asyncio.wait_for(socket.recv(), SILENCE_S)
        begun_s, begun_cpu_s = time.monotonic(), cpu_s(pid)
        while (now_s := time.monotonic() - begun_s) < SECONDS:
            messages.append((now_s, str(await asyncio.wait_for(socket.recv(), SILENCE_S))))
        return cpu_s(pid) - begun_cpu_s, messages


async def left_out(pipeline: Running) -> float:
    """Return the number of times that a client was so far behind that it got only the latest message."""
    async with httpx.AsyncClient() as client:
        told = (await client.get(f"http://127.0.0.1:{pipeline.api_port}/metrics")).text
    (line,) = (line for line in told.splitlines() if line.startswith(f"{BEHIND} "))
    return float(line.split()[-1])


async def broadcast(messages: list[tuple[float, str]]) -> float:
    """Return the CPU seconds of a process that broadcasts the same messages, at the same times, to as many clients."""
    port = free_port()
    async with crowd("serve", port) as server, crowd("listen", port, CLIENTS):
        assert server.stdin is not None
        begun_s, begun_cpu_s = time.monotonic(), cpu_s(server.pid)
        for at_s, text in messages:
            await asyncio.sleep(max(0.0, begun_s + at_s - time.monotonic()))  # the time when the API sent it
            server.stdin.write(text.encode() + b"\n")
            await server.stdin.drain()
        await asyncio.sleep(1)  # until the last of them is sent
        return cpu_s(server.pid) - begun_cpu_s


def cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
