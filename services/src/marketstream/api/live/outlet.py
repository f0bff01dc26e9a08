"""uvicorn's WebSocket with a way to write the same encoded frame to many clients.

Through ASGI, each message costs a coroutine, a dictionary and an encoding for each client, about as much as the system
call itself. The frames of a server are not masked and, without compression, the same for all clients. So each frame is
encoded once and written to each transport unchanged.
"""

import asyncio
import socket
from typing import Any, Final, Protocol

from starlette.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

MAX_MESSAGE: Final = 16 * 1024
"""Maximum bytes of a client's message: twice those of a subscription to the maximum number of streams."""

PING_EVERY_S: Final = 20.0
PONG_WITHIN_S: Final = 20.0

SEND_BUFFER: Final = 128 * 1024
"""Bytes that the kernel buffers for a client.

By default it buffers megabytes, which are minutes of messages: a client that fell behind would have to read all of
them before the newest.
"""

LINGER_S: Final = 30.0
"""Seconds for which a client that does not read may still receive the reason why it is closed.

The reason comes after all waiting bytes, some 400 kB. When the client reads again, the kernel may need seconds to
notice, because it probes a client with a full buffer less and less often.
"""

_EXTENSION: Final = "marketstream.outlet"


class Outlet(Protocol):
    """The writing side of one WebSocket, which bypasses ASGI."""

    def write(self, frames: bytes) -> None:
        """Write whole frames, now or as soon as the client reads. Does nothing once the connection is closing."""

    def buffered(self) -> int:
        """Return the bytes that wait for the client to read."""

    def give_up(self, code: int, reason: str) -> None:
        """Close the connection even if the client does not read."""


def outlet_of(scope: Scope) -> Outlet:
    """Return the outlet of a WebSocket that this server has accepted."""
    outlet: Outlet = scope["extensions"][_EXTENSION]
    return outlet


class DirectWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, available to the application as an Outlet."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:  # otherwise the handshake was refused, and there is no scope
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[_EXTENSION] = self

    def write(self, frames: bytes) -> None:
        if not self.close_sent and not self.transport.is_closing():
            self.transport.write(frames)

    def buffered(self) -> int:
        return self.transport.get_write_buffer_size()

    def give_up(self, code: int, reason: str) -> None:
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._let_go(code, reason)

    def handle_ping(self) -> None:
        if self.buffered() <= SEND_BUFFER:
            super().handle_ping()
        else:
            self.conn.data_to_send()  # no pong: pongs would pile up for a client that sends pings and does not read

    def handle_close(self, event: Frame) -> None:
        super().handle_close(event)
        self._abort_later()

    def eof_received(self) -> None:
        self._let_go(1006, "")

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._let_go(1011, "keepalive ping timeout")

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        if not self.disconnected:
            self._abort_later()

    def _let_go(self, code: int, reason: str) -> None:
        """Report the disconnect to the application at once. The connection itself may take long to send the rest."""
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self._abort_later()

    def _abort_later(self) -> None:
        """Abort the connection after LINGER_S. A clean close might wait forever for the client to read."""
        if self.close_timer is None:
            self.close_timer = self.loop.call_later(LINGER_S, self.transport.abort)


WEBSOCKET: Final[dict[str, Any]] = {
    "ws": DirectWebSocket,
    "ws_max_size": MAX_MESSAGE,
    "ws_ping_interval": PING_EVERY_S,
    "ws_ping_timeout": PONG_WITHIN_S,
    "ws_per_message_deflate": False,
}
"""Options for `marketstream.service.serving`."""
