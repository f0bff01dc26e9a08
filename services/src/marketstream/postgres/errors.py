"""Errors of PostgreSQL. A caller that catches StoreError catches all of them.

StoreError
├── StoreUnavailableError   the database is unreachable, read-only or has no tables yet: retrying may help
├── StoreRefusedError       the database refuses the login or a statement: retrying does not help
└── MigrationError          the database was migrated by different migrations: retrying does not help
"""

from ssl import SSLCertVerificationError
from typing import Final

import asyncpg


class StoreError(Exception):
    """Base class of all errors of PostgreSQL."""


class StoreUnavailableError(StoreError):
    """The database is unreachable, does not answer in time, is read-only or has no tables yet. Retrying may help."""


class StoreRefusedError(StoreError):
    """The database answers, but refuses the user, the password, the database or a statement. Retrying does not help."""


class MigrationError(StoreError):
    """The migrations of this code contradict those that were applied to the database."""


OUTAGES: Final = (
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
"""Errors of asyncpg after which a retry may help.

The database is unreachable, restarting, overloaded or out of time, or another transaction is in the way.
"""

READ_ONLY: Final = asyncpg.ReadOnlySQLTransactionError
"""Error of a database that accepts no writes, such as a standby."""

LOGIN: Final = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
"""Errors of a server that does not know the user, the password or the database."""

_REFUSED: Final = (
    *LOGIN,
    asyncpg.exceptions.ClientConfigurationError,
    asyncpg.exceptions.UnsupportedClientFeatureError,
)
"""Errors of a server that answers but does not accept DATABASE_URL."""

_POOLER: Final = ("unsupported startup parameter", "statement pooling mode")
"""Errors of PgBouncer that do not pass. It reports them like its outages."""

ANY: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""Every error of a statement or a connection."""


def store_error(error: BaseException, *, is_start: bool = False) -> StoreError:
    """Return the StoreError for an error of asyncpg. Only this function distinguishes an outage from a refusal.

    The result is a StoreUnavailableError when a retry may help, and a StoreRefusedError when it does not. A refused
    login or an unknown certificate is a refusal while a service starts (`is_start`). Later it counts as an outage: the
    database, its password or its certificate is probably being replaced.
    """
    if isinstance(error, asyncpg.UndefinedTableError):
        return StoreUnavailableError("PostgreSQL has no tables yet: the migrations have not been applied")
    if isinstance(error, READ_ONLY):
        return StoreUnavailableError(f"PostgreSQL is read-only, like a standby: {said(error)}")
    if isinstance(error, LOGIN) and not is_start:
        return StoreUnavailableError(f"PostgreSQL refuses DATABASE_URL: {said(error)}")
    if isinstance(error, SSLCertVerificationError) and is_start:
        return StoreRefusedError(f"the certificate of PostgreSQL cannot be verified: {said(error)}")
    if isinstance(error, _REFUSED):
        return StoreRefusedError(f"PostgreSQL refuses DATABASE_URL: {said(error)}")
    if isinstance(error, asyncpg.PostgresConnectionError) and any(text in str(error) for text in _POOLER):
        return StoreRefusedError(f"the pooler of PostgreSQL cannot be used: {said(error)}")
    if isinstance(error, OUTAGES):
        return StoreUnavailableError(f"PostgreSQL is unavailable: {said(error)}")
    return StoreRefusedError(f"PostgreSQL refuses a statement ({getattr(error, 'sqlstate', None)}): {said(error)}")


def said(error: BaseException) -> str:
    """Return the error as one line: asyncpg adds lines for details and hints.

    A time-out has no text of its own and becomes "no answer in time".
    """
    text = " ".join(str(error).split())
    return text or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
