"""Processes of the load test: many clients that only read, and a bare server that sends the same messages.

`python -m tests.browser.crowd follow PORT CLIENTS` subscribes, prints a line, and reads until it is killed; `listen`
does the same without subscribing.
`python -m tests.browser.crowd serve PORT` broadcasts each line of its standard input, JSON, as one message.
"""

import asyncio
import base64
import os
import sys
from typing import cast

import uvloop
from marketstream.api.live.messages import frame
from websockets.asyncio.server import ServerConnection, broadcast, serve

SUBSCRIBE = {"type": "subscribe", "streams": [{"symbol": "BTCUSDT", "interval": "10s", "limit": 0}]}


class Reader(asyncio.Protocol):
    """Client that subscribes and discards all messages: a real client would take the CPU from the server."""

    def __init__(self, port: int, *, subscribes: bool) -> None:
        self._port = port
        self._subscribes = subscribes
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if self.ready.done():
            return
        if not self._subscribes or b'"snapshot"' in data:
            self.ready.set_result(None)
        elif data.startswith(b"HTTP/1.1 101"):
            self._transport.write(masked(frame(SUBSCRIBE)))


def masked(unmasked: bytes) -> bytes:
    """Return the short frame of a server as a client's frame, with a mask of zeros."""
    assert unmasked[1] < 126
    return bytes((unmasked[0], unmasked[1] | 0x80)) + bytes(4) + unmasked[2:]


async def follow(port: int, clients: int, *, subscribes: bool) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(clients):
        _, reader = await loop.create_connection(lambda: Reader(port, subscribes=subscribes), "127.0.0.1", port)
        await reader.ready
    print(clients, flush=True)
    await asyncio.Event().wait()


async def serve_bare(port: int) -> None:
    connections: set[ServerConnection] = set()

    async def handler(connection: ServerConnection) -> None:
        connections.add(connection)
        await connection.wait_closed()

    async with serve(handler, "127.0.0.1", port, compression=None):
        print(port, flush=True)
        reader = asyncio.StreamReader(limit=2**20)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            broadcast(connections, line, text=True)


if __name__ == "__main__":
    what, port, *rest = sys.argv[1:]
    uvloop.run(
        serve_bare(int(port)) if what == "serve" else follow(int(port), *map(int, rest), subscribes=what == "follow")
    )
