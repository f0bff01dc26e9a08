"""The three servers together: data persists, a stop is quick, and a dead server is reported."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import pytest
from marketstream.local.directory import server_processes
from marketstream.local.errors import ServerDiedError, ServerStartError
from marketstream.local.servers import EmbeddedServers

from tests.harness.clients import consume, make_topic, produce, query
from tests.harness.servers import pause, restart

STOP_LIMIT_S = 15  # the goal is 5


async def test_data_outlives_a_restart(tmp_path: Path) -> None:
    directory = tmp_path / "a directory with spaces, commas and ünïcode" / ("long" * 20)
    async with EmbeddedServers(directory) as servers:
        await query(servers.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
        await make_topic(servers.kafka_bootstrap, "kept")
        await produce(servers.kafka_bootstrap, "kept", b"one", b"two")
        began = time.monotonic()
    assert time.monotonic() - began < STOP_LIMIT_S
    assert server_processes(directory) == []

    async with EmbeddedServers(directory) as servers:
        assert [row["answer"] for row in await query(servers.database_url, "SELECT answer FROM kept")] == [42]
        assert await consume(servers.kafka_bootstrap, "kept") == [b"one", b"two"]


async def test_the_addresses_are_in_a_file_while_the_servers_run(tmp_path: Path) -> None:
    kafka, database = "elsewhere:9092", "postgresql://elsewhere/marketstream"
    file = tmp_path / "endpoints.json"
    async with EmbeddedServers(tmp_path, kafka_bootstrap=kafka, database_url=database) as servers:
        expected = {"kafka_bootstrap": kafka, "database_url": database, "redis_url": servers.redis_url}
        assert json.loads(file.read_text()) == expected
        assert file.stat().st_mode & 0o077 == 0
        assert [server.name for server in servers.servers] == ["redis"]
    assert not file.exists()


async def test_a_dead_server_is_reported(tmp_path: Path) -> None:
    async with EmbeddedServers(tmp_path, kafka_bootstrap="elsewhere:9092") as servers:
        watch = asyncio.create_task(servers.watch())
        assert servers.redis is not None
        assert servers.postgres is not None
        await restart(servers.redis)  # on purpose: not an error
        assert not watch.done()
        assert servers.postgres.pid is not None
        os.kill(servers.postgres.pid, signal.SIGKILL)
        with pytest.raises(ServerDiedError, match=r"postgres ended unexpectedly with exit code -9(?s:.*)ready to"):
            await asyncio.wait_for(watch, 5)
        await servers.postgres.start()
        assert await query(servers.database_url, "SELECT 1")


async def test_a_server_that_cannot_start_says_why_and_the_others_stop(tmp_path: Path) -> None:
    servers = EmbeddedServers(tmp_path, kafka_properties={"num.network.threads": "none"})
    with pytest.raises(ServerStartError, match=r"num\.network\.threads"):
        await servers.__aenter__()
    assert server_processes(tmp_path) == []
    assert not any(server.alive for server in servers.servers)


async def test_an_interrupted_start_leaves_nothing_running(tmp_path: Path) -> None:
    servers = EmbeddedServers(tmp_path)
    starting = asyncio.create_task(servers.__aenter__())
    await asyncio.sleep(0.3)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not any(server.alive for server in servers.servers)
    async with EmbeddedServers(tmp_path, kafka_bootstrap="elsewhere:9092") as again:
        assert await query(again.database_url, "SELECT 1")


async def test_a_paused_server_stops_in_time(tmp_path: Path) -> None:
    async with EmbeddedServers(tmp_path) as servers:
        for server in servers.servers:
            pause(server)
        began = time.monotonic()
    assert time.monotonic() - began < STOP_LIMIT_S
    assert server_processes(tmp_path) == []
