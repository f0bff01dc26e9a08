"""Free ports, and queries of a server on loopback."""

import asyncio
import errno
import socket

import pytest
from marketstream.local import loopback
from marketstream.local.errors import ServerStartError
from marketstream.local.loopback import HOST, free_port, query


def test_a_free_port_can_be_bound() -> None:
    port = free_port()
    with socket.socket() as candidate:
        candidate.bind((HOST, port))


def test_a_port_in_use_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(loopback.random, "sample", lambda *_, **__: [port])
        with pytest.raises(ServerStartError, match=f"No free port on {HOST}"):
            free_port()


async def test_a_query_returns_the_first_bytes_of_the_answer() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"+" + await reader.read(100))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(echo, HOST, 0) as server:
        assert await query(server.sockets[0].getsockname()[1], b"PING") == b"+PING"


async def test_a_query_without_a_server_or_an_answer_is_an_oserror() -> None:
    with pytest.raises(OSError) as refused:  # noqa: PT011  the code follows
        await query(free_port(), b"PING")
    assert refused.value.errno == errno.ECONNREFUSED
    with socket.create_server((HOST, 0)) as silent, pytest.raises(TimeoutError):
        await query(silent.getsockname()[1], b"PING", limit=0.05)
