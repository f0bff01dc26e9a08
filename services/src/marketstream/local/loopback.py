"""The loopback interface: find a free port, and query a server on a port."""

import asyncio
import random
import socket

from marketstream.local.errors import ServerStartError

HOST = "127.0.0.1"

_PORTS = range(20_000, 30_000)
"""Candidates for the ports of servers.

They lie below the range from which the kernel takes the ports of outgoing connections. In that range, a client that
keeps trying to reach a stopped server could get the server's own port and connect to itself.
"""


def free_port() -> int:
    """Return a loopback port that is free now. Raise ServerStartError if there is none."""
    for port in random.sample(_PORTS, k=200):
        with socket.socket() as candidate:
            try:
                candidate.bind((HOST, port))
            except OSError:
                continue
            return port
    raise ServerStartError(
        f"No free port on {HOST} between {_PORTS.start} and {_PORTS.stop - 1}. Stop some of the programs that use them."
    )


async def query(port: int, request: bytes, limit: float = 1.0) -> bytes:
    """Send a request to a loopback port and return the first bytes of the answer.

    Raises OSError if there is no answer within `limit` seconds.
    """
    async with asyncio.timeout(limit):
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            writer.write(request)
            return await reader.read(1024)
        finally:
            writer.close()
            await writer.wait_closed()
