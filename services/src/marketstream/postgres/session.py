"""Sessions of PostgreSQL, directly or through a pooler such as PgBouncer.

A server accepts the limits of a session when the session begins, and keeps prepared statements for it. A pooler may
refuse or ignore the limits, and between two transactions it may switch the connection to another server session. Each
connection detects if there is a pooler. Behind a pooler, every statement runs in a transaction that sets the limits,
and no statement stays prepared.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import asyncpg

from marketstream.postgres.address import Address
from marketstream.postgres.errors import ANY
from marketstream.telemetry import logger

log = logger(__name__)

COMMAND_S: Final = 35.0
"""Seconds after which the client gives up a statement.

The server's own limit is lower, because its error is clear. This limit is for a frozen server, or a network that drops
all packets.
"""

LIMITS: Final = {
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "10s",
    "jit": "off",  # all statements are short: compiling them costs more than it saves
}

_SET_LIMITS: Final = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in LIMITS.items())

# The tag of the command has the number of rows. This needs no prepared statement, which a pooler might lose.
# Each limit counts: a database may have some of them as its own defaults.
_HAS_LIMITS: Final = "SELECT WHERE " + " AND ".join(
    f"current_setting('{name}') = '{value}'" for name, value in LIMITS.items()
)
_YES: Final = "SELECT 1"


class Session(asyncpg.Connection):
    """A connection. `is_pooled` is True if there is a pooler between the connection and the server."""

    is_pooled = False


class Connector:
    """Opener of the sessions of one pool."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._is_pooled = False

    async def __call__(self, *_: Any, **pool: Any) -> Session:
        """Open a session. asyncpg's pool calls this method with its own arguments. Raises errors of asyncpg."""
        if not self._is_pooled:
            session = await self._direct(pool)
            if session is not None:
                return session
            self._is_pooled = True
            log.info("pooler detected, limits are set in each transaction")
        pooled = await self._connect(pool, {}, statement_cache_size=0)
        pooled.is_pooled = True
        return pooled

    async def _direct(self, pool: dict[str, Any]) -> Session | None:
        """Return a session that has begun with the limits, or None if a pooler does not pass the limits on."""
        try:
            session = await self._connect(pool, LIMITS)
        except asyncpg.ProtocolViolationError as error:
            if "startup parameter" in str(error):  # PgBouncer's "unsupported startup parameter: statement_timeout"
                return None
            raise
        try:
            if await session.execute(_HAS_LIMITS) == _YES:
                return session
        except BaseException:
            session.terminate()
            raise
        await session.close()
        return None

    async def _connect(self, pool: dict[str, Any], settings: dict[str, str], **more: Any) -> Session:
        given = pool | self._address.arguments() | more
        given |= {"command_timeout": COMMAND_S, "connection_class": Session}
        given["server_settings"] = {"application_name": "marketstream", **self._address.server_settings, **settings}
        session: Session = await asyncpg.connect(**given)
        return session


async def keep_as_it_is(_: asyncpg.Connection) -> None:
    """Reset nothing when a session returns to its pool: no statement here changes a session."""


@contextlib.asynccontextmanager
async def transaction(session: Any) -> AsyncIterator[None]:
    """Run the block in a transaction. If it is cancelled or times out, terminate the session.

    A server that does not answer would not answer a rollback either.
    """
    begun = session.transaction()
    try:
        await begun.start()
        yield
        await begun.commit()
    except (TimeoutError, asyncio.CancelledError):
        session.terminate()
        raise
    except BaseException:
        with contextlib.suppress(*ANY):  # the session may be closed, which has ended the transaction
            await begun.rollback()
        raise


@contextlib.asynccontextmanager
async def limited(session: Any) -> AsyncIterator[None]:
    """Run the block with the limits: behind a pooler in a transaction of its own, otherwise without one."""
    if not session.is_pooled:
        yield
        return
    async with transaction(session):
        await set_limits(session)
        yield


async def set_limits(session: Any) -> None:
    """Set the limits for the transaction that has just begun, if the session has not begun with them."""
    if session.is_pooled:
        await session.execute(_SET_LIMITS)


async def fetch(session: Any, statement: str, *arguments: Any, timeout: float | None = None) -> Sequence[Any]:
    """Return the rows of one statement, which may take `timeout` seconds, with its transaction if it needs one.

    If it takes longer or is cancelled, the session is terminated. Raises errors of asyncpg.
    """
    try:
        async with asyncio.timeout(timeout), limited(session):
            rows: Sequence[asyncpg.Record] = await session.fetch(statement, *arguments)
            return rows
    except (TimeoutError, asyncio.CancelledError):
        session.terminate()  # a server that does not answer would not answer a clean close either
        raise
