"""Addresses on this machine only: finding a free port, asking what listens on one."""

import asyncio
import random
import socket

from marketstream.local.errors import ServerStartError

HOST = "127.0.0.1"

# Below the range from which the kernel takes ports of outgoing connections: there a client that keeps trying to reach
# a stopped server could be given the server's own port, and connect to itself.
_PORTS = range(20_000, 30_000)


def free_port() -> int:
    """A port of loopback that nobody listens on now. Raises ServerStartError when there is none."""
    for port in random.sample(_PORTS, k=200):
        with socket.socket() as candidate:
            try:
                candidate.bind((HOST, port))
            except OSError:
                continue
            return port
    raise ServerStartError(f"No free port on {HOST} between {_PORTS.start} and {_PORTS.stop - 1}. Stop what uses them.")


async def ask(port: int, request: bytes, limit: float = 1.0) -> bytes:
    """Send a request to a port of loopback and return the first bytes of the answer.

    Raises OSError when there is no answer within `limit` seconds.
    """
    async with asyncio.timeout(limit):
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            writer.write(request)
            return await reader.read(1024)
        finally:
            writer.close()
            await writer.wait_closed()
