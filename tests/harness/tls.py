"""TLS in front of a server that has none: a proxy with a certificate of a private authority."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

POSTGRES_REQUEST: Final = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
"""A PostgreSQL client's question for TLS, which comes before the handshake."""


def issue(folder: Path, host: str = "localhost") -> Path:
    """Make an authority in the folder, and a certificate of a host in server.pem. Return the authority's file."""
    names = f"subjectAltName=DNS:{host}\nauthorityKeyIdentifier=keyid\n"
    (folder / "names").write_text(names)
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt",
        "req -newkey rsa:2048 -nodes -subj /CN=server -keyout server.key -out server.csr",
        "x509 -req -in server.csr -days 2 -CA ca.crt -CAkey ca.key -CAcreateserial -extfile names -out server.crt",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    (folder / "server.pem").write_text((folder / "server.key").read_text() + (folder / "server.crt").read_text())
    return folder / "ca.crt"


@asynccontextmanager
async def encrypted(port: int, certificate: Path, *, is_postgres: bool = False) -> AsyncIterator[int]:
    """Serve the server of a port on 127.0.0.1 with TLS, and yield the other port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            try:
                if is_postgres:
                    assert await reader.readexactly(8) == POSTGRES_REQUEST, "the client does not ask for TLS"
                    writer.write(b"S")
                    await writer.start_tls(context)
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
                finally:
                    inner_writer.close()
            finally:
                writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=None if is_postgres else context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.close()
