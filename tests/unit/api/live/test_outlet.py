"""A WebSocket whose client does not read. Its connection ends all the same."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import pytest
from marketstream.api.live import outlet
from marketstream.api.live.outlet import WEBSOCKET, DirectWebSocket
from marketstream.service import serving
from starlette.types import Receive, Scope, Send

MUCH = b"\x81\x7f" + (8_000_000).to_bytes(8) + bytes(8_000_000)
"""A message that no kernel takes at once."""


class Deaf:
    """A connection whose client was sent more than it reads."""

    def __init__(self, sock: socket.socket, outlet: DirectWebSocket, ended: asyncio.Event) -> None:
        self.sock, self.outlet, self.ended = sock, outlet, ended

    def say(self, opcode: int, payload: bytes = b"") -> None:
        self.sock.sendall(bytes((0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0)) + payload)

    async def is_let_go(self) -> None:
        """Check that the connection is lost and that the application was informed."""
        async with asyncio.timeout(5):
            await self.ended.wait()
            while not self.outlet.disconnected:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def deaf(**options: float) -> AsyncIterator[Deaf]:
    served, ended = asyncio.get_running_loop().create_future(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        here = outlet.outlet_of(scope)
        here.write(MUCH)
        served.set_result(here)
        while (await receive())["type"] != "websocket.disconnect":
            pass
        ended.set()

    async with serving(app, "127.0.0.1", 0, **WEBSOCKET | options) as port:
        await asyncio.sleep(0.1)  # until it listens
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(
                b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            async with asyncio.timeout(5):
                yield Deaf(sock, await served, ended)


def closes(client: Deaf) -> None:
    client.say(0x8)


def ends(client: Deaf) -> None:
    client.sock.shutdown(socket.SHUT_WR)


def breaks_the_protocol(client: Deaf) -> None:
    client.say(0x3)


@pytest.mark.parametrize("end", [closes, ends, breaks_the_protocol])
async def test_a_client_that_disconnects_without_reading_is_released(
    monkeypatch: pytest.MonkeyPatch, end: Callable[[Deaf], None]
) -> None:
    monkeypatch.setattr(outlet, "LINGER_S", 0.1)
    async with deaf() as client:
        end(client)
        await client.is_let_go()


async def test_a_client_that_answers_no_ping_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet, "LINGER_S", 0.1)
    async with deaf(ws_ping_interval=0.1, ws_ping_timeout=0.1) as client:
        await client.is_let_go()


async def test_pings_of_a_client_that_does_not_read_are_not_answered() -> None:
    async with deaf() as client:
        await asyncio.sleep(0.2)  # until the kernel has taken all it can
        before = client.outlet.buffered()
        for _ in range(100):
            client.say(0x9, bytes(100))
        await asyncio.sleep(0.2)
        assert client.outlet.buffered() <= before
