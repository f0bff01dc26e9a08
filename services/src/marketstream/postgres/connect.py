"""Connections to PostgreSQL: one pool for each process."""

import asyncio
import contextlib
from typing import Final

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from marketstream.authorities import database_url
from marketstream.backoff import delays
from marketstream.postgres.address import address_of
from marketstream.postgres.errors import ANY, READ_ONLY, StoreRefusedError, StoreUnavailableError, said, store_error
from marketstream.postgres.session import Connector, fetch, keep_as_it_is
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)

Pool = asyncpg.Pool
"""The type of a pool, for packages that do not import asyncpg."""

CONNECT_S: Final = 5.0
"""Maximum seconds of one attempt to connect."""

FIRST_DELAY_S: Final = 0.1
MOST_DELAY_S: Final = 3.0


async def open_pool(settings: Settings, *, size: int, wait_s: float | None = None) -> asyncpg.Pool:
    """Return a pool of at most `size` connections to DATABASE_URL, once the database answers.

    Raises StoreUnavailableError if the database does not answer within `wait_s` seconds (START_LIMIT_S by default).
    Raises StoreRefusedError at once if the database refuses the user, the password or the name of the database.
    """
    pool = await lazy_pool(settings, size=size)
    try:
        await wait_for(pool, settings.start_limit_s if wait_s is None else wait_s)
    except BaseException:
        pool.terminate()
        raise
    return pool


async def lazy_pool(settings: Settings, *, size: int) -> asyncpg.Pool:
    """Return the same pool without waiting for the database. It connects on first use and reconnects after an outage.

    Raises SettingsError when DATABASE_URL is missing or has a parameter that cannot be honoured.
    """
    settings.require("database_url")
    connector = Connector(address_of(database_url(settings), CONNECT_S))
    return await asyncpg.create_pool(min_size=0, max_size=size, connect=connector, reset=keep_as_it_is)


def check_address(settings: Settings) -> None:
    """Raise SettingsError if DATABASE_URL has a parameter that cannot be honoured."""
    address_of(database_url(settings), CONNECT_S)


async def wait_for(pool: asyncpg.Pool, wait_s: float, *, to_write: bool = False) -> None:
    """Return once the database answers and, if `to_write`, accepts writes. Raises the same errors as open_pool."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    for delay in delays(FIRST_DELAY_S, MOST_DELAY_S):
        try:
            async with asyncio.timeout_at(deadline), pool.acquire() as connection:
                if to_write:
                    await _check_writable(connection)
                return
        except ANY as error:
            found = store_error(error, is_start=True)
            if isinstance(found, StoreRefusedError):
                raise found from error
            if loop.time() + delay >= deadline:
                missing = "accept writes" if isinstance(error, READ_ONLY) else "answer"
                problem = f"PostgreSQL did not {missing} within {wait_s:g} s: {said(error)}"
                raise StoreUnavailableError(problem) from error
            log.warning("PostgreSQL not ready, will retry", error=said(error), retry_s=round(delay, 2))
            await pool.expire_connections()  # a new session may find a server that accepts writes
        await asyncio.sleep(delay)


async def _check_writable(connection: PoolConnectionProxy) -> None:
    if (await fetch(connection, "SELECT current_setting('transaction_read_only')"))[0][0] == "on":
        raise READ_ONLY("it is read-only, like a standby")


async def close_pool(pool: asyncpg.Pool, *, limit_s: float = 1.0) -> None:
    """Close the pool's connections cleanly, or by force if that takes longer than `limit_s` seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await pool.close()
