"""A real PgBouncer in front of the tests' PostgreSQL."""

import asyncio
import contextlib
import os
import pwd
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
from marketstream.local.loopback import free_port

from tests.harness.needs import unavailable

START_S = 30.0
"""Seconds for PgBouncer to answer."""

SIZES = {"session": 20, "transaction": 3, "statement": 3}
"""Sessions of the server: in transaction mode fewer than connections, so that transactions change places."""

_CONFIG = """
[databases]
* = host={host} port={port} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = plain
auth_file = {users}
pool_mode = {mode}
default_pool_size = {size}
ignore_startup_parameters = {ignored}
"""


@contextlib.asynccontextmanager
async def pgbouncer(folder: Path, database_url: str, mode: str, ignored: str = "") -> AsyncIterator[str]:
    """The URL of the same database through a pooler in `mode`, which passes over the startup parameters `ignored`."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        unavailable("No pgbouncer on the PATH: on Debian and Ubuntu, apt install pgbouncer.")
    url, listen = urlsplit(database_url), free_port()
    users, config = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text(f'"{url.username}" "{url.password}"\n')
    config.write_text(_CONFIG.format(
        host=url.hostname, port=url.port, user=url.username, password=url.password, listen=listen, users=users,
        mode=mode, ignored=ignored, size=SIZES[mode],
    ))  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, str(config), stdout=asyncio.subprocess.DEVNULL, stderr=log, **_user(folder)
        )
    through = url._replace(netloc=f"{url.username}:{url.password}@127.0.0.1:{listen}").geturl()
    try:
        await _answers(through, process, folder)
        yield through
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _user(folder: Path) -> dict[str, int]:
    """PgBouncer does not run as root: then it runs as nobody, who may read the folder."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    for path in (folder, *folder.iterdir()):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    for parent in folder.parents:
        if parent.stat().st_uid == 0 and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid}


async def _answers(url: str, process: asyncio.subprocess.Process, folder: Path) -> None:
    async with asyncio.timeout(START_S):
        while True:
            assert process.returncode is None, (folder / "log").read_text()
            try:
                connection = await asyncpg.connect(url, statement_cache_size=0)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)
            else:
                return await connection.close()
