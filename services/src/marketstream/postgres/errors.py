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
    asyncpg.PostgresSystemError,
    asyncpg.TransactionRollbackError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.InvalidTransactionStateError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""Errors of asyncpg for which waiting may help: the database is unreachable, restarting, overloaded or out of time, or
another transaction is in the way."""

READ_ONLY: Final = asyncpg.ReadOnlySQLTransactionError
"""The error of a database that takes no writes, as a standby."""

LOGIN: Final = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
"""Errors of a server that knows no such user, password or database."""

_REFUSED: Final = (
    *LOGIN,
    asyncpg.exceptions.ClientConfigurationError,
    asyncpg.exceptions.UnsupportedClientFeatureError,
)
"""Errors of a DATABASE_URL that is answered, but not accepted."""

ANY: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""Every error of a statement or a connection."""


def store_error(error: BaseException, *, is_start: bool = False) -> StoreError:
    """Return what an error of asyncpg means here: the one place that tells an outage from a refusal.

    StoreUnavailableError when waiting may help, StoreRefusedError when it does not. A login that is refused is an
    outage, except when a service starts: later on, the database or its password is being replaced.
    """
    if isinstance(error, asyncpg.UndefinedTableError):
        return StoreUnavailableError("PostgreSQL has no tables yet: its migrations are not applied")
    if isinstance(error, READ_ONLY):
        return StoreUnavailableError(f"PostgreSQL is read-only, like a standby: {error}")
    if isinstance(error, LOGIN) and not is_start:
        return StoreUnavailableError(f"PostgreSQL refuses DATABASE_URL: {error}")
    if isinstance(error, _REFUSED):
        return StoreRefusedError(f"PostgreSQL refuses DATABASE_URL: {error}")
    if isinstance(error, AWAY):
        return StoreUnavailableError(f"PostgreSQL is unavailable: {said(error)}")
    return StoreRefusedError(f"PostgreSQL refuses a statement ({getattr(error, 'sqlstate', None)}): {error}")


def said(error: BaseException) -> str:
    """Return the error as text; a time-out, whose own text is empty, in words."""
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
