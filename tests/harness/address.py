"""One address in front of several servers, as a Service of Kubernetes is."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Address:
    """An address that leads new connections to the server at `port`. Open connections stay where they are."""

    def __init__(self, port: int) -> None:
        self.port = port

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Serve inside the block, and yield the address as a URL of Redis."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:  # nobody listens: the client sees a closed connection
            writer.close()
            return
        with contextlib.suppress(OSError):
            await asyncio.gather(_copy(reader, to_writer), _copy(to_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
