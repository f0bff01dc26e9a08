"""Connections to PostgreSQL: one pool for each process, every session with limits on what it may hold up."""

import asyncio
import contextlib
from typing import Final

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from marketstream.backoff import delays
from marketstream.postgres.errors import AWAY, READ_ONLY, REFUSED, StoreRefusedError, StoreUnavailableError, said, why
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)

Pool = asyncpg.Pool
"""For the rooms that hold a pool without knowing asyncpg."""

CONNECT_S: Final = 5.0
"""Seconds for one attempt to connect."""

COMMAND_S: Final = 35.0
"""Seconds after which a statement is given up on this side. Above the server's own limit, which leaves a clear error;
this one is for a server that has frozen or a network that drops everything."""

SESSION: Final = {
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "10s",
    "jit": "off",  # every statement here is short: compiling it costs more than it saves
}

FIRST_DELAY_S: Final = 0.1
MOST_DELAY_S: Final = 3.0


async def open_pool(settings: Settings, *, size: int, wait_s: float | None = None) -> asyncpg.Pool:
    """A pool of at most `size` connections to DATABASE_URL, once the database answers.

    Raises StoreUnavailableError when it has not answered after `wait_s` seconds (or START_LIMIT_S), StoreRefusedError
    at once when it answers but refuses the user, the password or the name of the database.
    """
    pool = await lazy_pool(settings, size=size)
    try:
        await wait_for(pool, settings.start_limit_s if wait_s is None else wait_s)
    except BaseException:
        pool.terminate()
        raise
    return pool


async def lazy_pool(settings: Settings, *, size: int) -> asyncpg.Pool:
    """The same pool without waiting: it connects when it is first used, and again after the database was away.

    Raises SettingsError when DATABASE_URL is missing.
    """
    settings.require("database_url")
    return await asyncpg.create_pool(
        settings.database_url,
        min_size=0,
        max_size=size,
        timeout=CONNECT_S,
        command_timeout=COMMAND_S,
        server_settings={"application_name": "marketstream", **SESSION},
    )


async def wait_for(pool: asyncpg.Pool, wait_s: float, *, to_write: bool = False) -> None:
    """Returns once the database answers and, `to_write`, takes writes. Raises as open_pool does."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    for delay in delays(FIRST_DELAY_S, MOST_DELAY_S):
        try:
            async with asyncio.timeout_at(deadline), pool.acquire() as connection:
                if to_write:
                    await _check_writable(connection)
                return
        except REFUSED as error:
            raise StoreRefusedError(why(error)) from error
        except (*AWAY, READ_ONLY) as error:
            missing = "take writes" if isinstance(error, READ_ONLY) else "answer"
            if loop.time() + delay >= deadline:
                raise StoreUnavailableError(f"PostgreSQL did not {missing} for {wait_s:g} s: {said(error)}") from error
            log.warning("PostgreSQL is not there yet", error=said(error), again_in_s=round(delay, 2))
            await pool.expire_connections()  # a new session may find the server that does
        await asyncio.sleep(delay)


async def _check_writable(connection: PoolConnectionProxy) -> None:
    if await connection.fetchval("SHOW transaction_read_only") == "on":
        raise READ_ONLY("it is read-only, as a standby is")


async def close_pool(pool: asyncpg.Pool, *, limit_s: float = 1.0) -> None:
    """Ends the pool's connections: in good order, or by force when that takes longer than `limit_s` seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await pool.close()
