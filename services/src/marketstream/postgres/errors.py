"""What can go wrong with PostgreSQL. A caller that catches StoreError has caught it all."""

from typing import Final

import asyncpg


class StoreError(Exception):
    """Base of all that the stores raise."""


class StoreUnavailableError(StoreError):
    """The database is away, does not answer in time, or has no tables yet. Trying again later may help."""


class StoreRefusedError(StoreError):
    """The database answers, but knows no such user, password or database. Trying again does not help."""


class MigrationError(StoreError):
    """The migrations of this code and those that the database has seen contradict each other."""


AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""How asyncpg says that the database is away, restarting, overloaded or out of time."""

REFUSED: Final = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
"""How asyncpg says that the address in DATABASE_URL is answered, but not welcome."""

READ_ONLY: Final = asyncpg.ReadOnlySQLTransactionError
"""How asyncpg says that the database takes no writes, as a standby does."""


def why(error: BaseException) -> str:
    """What is wrong with the database, as text."""
    if isinstance(error, REFUSED):
        return f"PostgreSQL refuses DATABASE_URL: {error}"
    if isinstance(error, READ_ONLY):
        return f"PostgreSQL is read-only, as a standby is: {error}"
    return f"PostgreSQL is away: {said(error)}"


def said(error: BaseException) -> str:
    """The error as text; a time-out, which says nothing itself, too."""
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
