"""Migrations: numbered SQL files, each applied once and in order by the process that starts first."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Final, NamedTuple

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from marketstream.postgres.errors import (
    ANY,
    MigrationError,
    StoreRefusedError,
    StoreUnavailableError,
    said,
    store_error,
)
from marketstream.postgres.session import transaction
from marketstream.telemetry import logger

log = logger(__name__)

LOCK: Final = 0x6D61726B6574  # "market"
"""Advisory lock of the database. One process holds it and migrates while the others wait."""

LOCK_LIMIT_S: Final = 120
"""Maximum seconds for which a process waits while another one migrates."""

APPLY_LIMIT_S: Final = 600
"""Maximum seconds of one migration: far above the limit of ordinary statements, as it may rewrite a table."""

NOT_ALLOWED: Final = (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidSchemaNameError)
"""Errors for a user who may not create tables; the second, for a user who cannot even see the schema."""

Connection = asyncpg.Connection | PoolConnectionProxy
"""A dedicated connection, or one borrowed from a pool."""

_FILE: Final = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")

_RECORD: Final = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version integer PRIMARY KEY,
        name text NOT NULL,
        checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""


class Migration(NamedTuple):
    """One numbered step of the schema."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file, which changes with the file."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def packaged() -> list[Migration]:
    """Return the migrations of this code, in order."""
    folder = resources.files("marketstream.postgres") / "migrations"
    found = [(match, file) for file in folder.iterdir() if (match := _FILE.fullmatch(file.name))]
    return sorted(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")) for match, file in found)


async def migrate(database: asyncpg.Pool | Connection, migrations: Sequence[Migration] | None = None) -> list[int]:
    """Bring the database to the schema of this code, and return the versions that this call applied.

    Many processes may call this function at once: one applies the migrations, the others wait. A database that is newer
    than this code, as during a rolling upgrade, is left unchanged, with a warning.

    Raises MigrationError when an applied migration has been changed since or is unknown to this code,
    StoreRefusedError when the database refuses the login or does not let the user create tables, and
    StoreUnavailableError when it is unreachable or read-only, or another process holds the lock for too long.
    """
    wanted = packaged() if migrations is None else sorted(migrations)
    try:
        if isinstance(database, asyncpg.Pool):
            async with database.acquire() as connection:
                return await _migrate(connection, wanted)
        return await _migrate(database, wanted)
    except asyncpg.LockNotAvailableError as error:
        raise StoreUnavailableError(
            f"another process has held the lock of the migrations, or of a table they change, for {LOCK_LIMIT_S} s"
        ) from error
    except NOT_ALLOWED as error:
        raise StoreRefusedError(
            f"PostgreSQL does not let the user of DATABASE_URL apply the migrations: {said(error)}"
        ) from error
    except ANY as error:
        raise store_error(error, is_start=True) from error


async def _migrate(connection: Connection, migrations: Sequence[Migration]) -> list[int]:
    applied = []
    while (version := await _step(connection, migrations)) is not None:
        applied.append(version)
    return applied


async def _step(connection: Connection, migrations: Sequence[Migration]) -> int | None:
    """Apply the first missing migration, if any, in a transaction that holds the lock. Return its version or None.

    The lock ends with its transaction, so no failure leaves it behind. The applied migrations are read again under
    each lock.
    """
    async with transaction(connection):
        await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_LIMIT_S}s'")
        await connection.execute(f"SET LOCAL statement_timeout = '{APPLY_LIMIT_S}s'")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK, timeout=LOCK_LIMIT_S + 5)
        await connection.execute(_RECORD)
        rows = await connection.fetch("SELECT version, checksum FROM schema_migrations")
        done = {row["version"]: row["checksum"] for row in rows}
        _check(done, migrations)
        missing = next((migration for migration in migrations if migration.version not in done), None)
        if missing is None:
            return None
        await connection.execute(missing.sql, timeout=APPLY_LIMIT_S + 5)
        await connection.execute(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
            missing.version, missing.name, missing.checksum,
        )  # fmt: skip
    log.info("migration applied", version=missing.version, name=missing.name)
    return missing.version


def _check(done: Mapping[int, str], migrations: Sequence[Migration]) -> None:
    known = {migration.version: migration for migration in migrations}
    newest = max(known, default=0)
    for version, checksum in sorted(done.items()):
        migration = known.get(version)
        if migration is not None and migration.checksum != checksum:
            raise MigrationError(
                f"migration {version:04} ({migration.name}) was applied with checksum {checksum[:12]}, but this code "
                f"has {migration.checksum[:12]}: do not change an applied migration, add a new one instead"
            )
        if migration is None and version < newest:
            raise MigrationError(f"migration {version:04} was applied to the database, but this code does not have it")
    if done and max(done) > newest:
        log.warning("database schema newer than this code", database=max(done), code=newest)
