"""Rough handling of the embedded servers, which only tests need."""

from contextlib import suppress

import psutil
from marketstream.local.process import ServerProcess


async def restart(server: ServerProcess) -> None:
    """Stop the server gracefully and start it again, on the same port and with the same data."""
    await server.stop()
    await server.start()


def pause(server: ServerProcess) -> None:
    """Suspend the server and its children (SIGSTOP), as if the machine hung."""
    for member in server.family():
        with suppress(psutil.NoSuchProcess):
            member.suspend()


def resume(server: ServerProcess) -> None:
    """Let a paused server continue."""
    for member in server.family():
        with suppress(psutil.NoSuchProcess):
            member.resume()
