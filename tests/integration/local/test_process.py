"""A server as a child process: its port, its log, and its end."""

import os
import signal
import socket
from pathlib import Path

import pytest
from marketstream.local.directory import server_processes
from marketstream.local.errors import ServerStartError
from marketstream.local.loopback import HOST
from marketstream.local.redis import RedisServer

from tests.harness.clients import eventually


async def test_a_port_that_is_taken_before_the_start_is_replaced(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    with socket.create_server((HOST, server.port)) as other:
        await server.start()
        assert server.port != other.getsockname()[1]
        assert await server.answers()
        await server.stop()


async def test_a_server_that_ends_during_its_start_shows_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = RedisServer(tmp_path)
    command = [*server.command(), "--maxmemory-policy", "nonsense"]
    monkeypatch.setattr(server, "command", lambda: command)
    message = r"redis ended with exit code 1 during its start\. The end of .*redis\.log:\n(?s:.*)nonsense"
    with pytest.raises(ServerStartError, match=message):
        await server.start()
    assert not server.alive


async def test_only_an_unexpected_end_counts_as_such(tmp_path: Path) -> None:
    server = await RedisServer(tmp_path).start()
    assert server.pid is not None
    await server.stop()
    assert (server.alive, server.ended, server.pid) == (False, False, None)
    await server.start()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await eventually(lambda: not server.alive)
    assert (server.alive, server.ended, server.exit_code) == (False, True, -9)
    await server.kill()
    assert server_processes(tmp_path) == []


async def test_an_overgrown_log_is_moved_and_emptied(tmp_path: Path) -> None:
    server = await RedisServer(tmp_path).start()
    with server.log.open("ab") as log:
        log.write(b"much to say\n" * 1_000_000)
    server.bound_log()
    assert server.log.stat().st_size == 0
    assert server.log.with_suffix(".log.1").stat().st_size > 10_000_000
    await server.stop()
    assert "ready to exit" in server.log_tail()
    assert server.log.stat().st_size < 10_000
