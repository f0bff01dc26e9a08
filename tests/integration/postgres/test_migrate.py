"""Migrations of a real PostgreSQL: each is applied once, in order, even by many processes at once."""

import asyncio
import sys
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest
from marketstream.postgres.connect import close_pool, lazy_pool
from marketstream.postgres.errors import MigrationError, StoreRefusedError, StoreUnavailableError
from marketstream.postgres.migrate import Migration, migrate, packaged
from marketstream.settings import Settings
from structlog.testing import capture_logs

FIRST = Migration(1, "first", "CREATE TABLE one (a integer); INSERT INTO one VALUES (1);")
SECOND = Migration(2, "second", "UPDATE one SET a = a + 1;")


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def versions(connection: asyncpg.Connection) -> list[int]:
    return [row["version"] for row in await connection.fetch("SELECT version FROM schema_migrations ORDER BY 1")]


async def test_an_empty_database_gets_every_migration(connection: asyncpg.Connection) -> None:
    numbers = [migration.version for migration in packaged()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert await migrate(connection) == numbers
    assert await versions(connection) == numbers
    assert await connection.fetchval("SELECT count(*) FROM candles_1d") == 0


async def test_a_second_call_applies_nothing(connection: asyncpg.Connection) -> None:
    await migrate(connection, [FIRST])
    assert await migrate(connection, [FIRST]) == []


async def test_migrations_are_applied_in_the_order_of_their_numbers(connection: asyncpg.Connection) -> None:
    assert await migrate(connection, [SECOND, FIRST]) == [1, 2]
    assert await connection.fetchval("SELECT a FROM one") == 2


async def test_many_processes_at_once_apply_each_once(connection: asyncpg.Connection, database_url: str) -> None:
    script = (
        "import asyncio, asyncpg, sys\n"
        "from marketstream.postgres.migrate import migrate\n"
        "async def main():\n"
        "    print(len(await migrate(await asyncpg.connect(sys.argv[1]))))\n"
        "asyncio.run(main())\n"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, database_url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    async with asyncio.timeout(60):
        answers = [await process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], answers
    assert sum(int(out.splitlines()[-1]) for out, _ in answers) == len(packaged())
    assert len(await versions(connection)) == len(packaged())


async def test_symbols_of_an_older_version_keep_their_beginning(connection: asyncpg.Connection) -> None:
    """Only a symbol of which nothing is counted yet is a new one."""
    migrations = packaged()
    before = [migration for migration in migrations if migration.name != "begin_known"]
    await migrate(connection, before[:1])
    await connection.execute(
        """INSERT INTO progress (exchange, symbol, topic, counted, edge_times, settled_id)
           VALUES ('a', 'OLD', 't', '{[1,2]}', '{1,2}', -1), ('a', 'NEW', 't', '{}', '{}', -1),
                  ('a', 'SETTLED', 't', '{}', '{}', 7)"""
    )
    await migrate(connection)
    await connection.execute("INSERT INTO progress (exchange, symbol, topic) VALUES ('a', 'NEWER', 't')")
    found = dict(await connection.fetch("SELECT symbol, begin_known FROM progress"))
    assert found == {"OLD": True, "NEW": False, "SETTLED": True, "NEWER": False}


async def test_a_failure_leaves_nothing_of_its_migration(connection: asyncpg.Connection) -> None:
    broken = Migration(2, "broken", "CREATE TABLE two (); SELECT 1 / 0;")
    with pytest.raises(StoreRefusedError, match="division by zero"):
        await migrate(connection, [FIRST, broken])
    assert await versions(connection) == [1]
    assert await connection.fetchval("SELECT to_regclass('two')") is None
    assert await migrate(connection, [FIRST, SECOND]) == [2]


async def test_a_changed_migration_is_an_error(connection: asyncpg.Connection) -> None:
    await migrate(connection, [FIRST])
    with pytest.raises(
        MigrationError,
        match=r"migration 0001 \(first\) was applied with checksum .* do not change an applied migration",
    ):
        await migrate(connection, [FIRST._replace(sql=FIRST.sql + "-- better")])


async def test_a_newer_database_is_left_unchanged(connection: asyncpg.Connection) -> None:
    await migrate(connection, [FIRST, SECOND])
    with capture_logs() as lines:
        assert await migrate(connection, [FIRST]) == []
    assert [(line["log_level"], line["event"]) for line in lines] == [
        ("warning", "database schema newer than this code")
    ]


async def test_an_unknown_migration_in_between_is_an_error(connection: asyncpg.Connection) -> None:
    await migrate(connection, [FIRST])
    with pytest.raises(
        MigrationError, match="migration 0001 was applied to the database, but this code does not have it"
    ):
        await migrate(connection, [SECOND])


async def refusal(url: str) -> str:
    """Run the migrations on a pool that was never connected, and return the error."""
    pool = await lazy_pool(Settings(database_url=url), size=1)
    try:
        with pytest.raises(StoreRefusedError) as caught:
            await migrate(pool)
    finally:
        await close_pool(pool)
    return str(caught.value)


async def test_a_refused_login_is_explained(database_url: str) -> None:
    assert "does not exist" in await refusal(f"{database_url}_missing")
    parts = urlsplit(database_url)
    wrong = parts._replace(netloc=f"{parts.username}:wrong@{parts.hostname}:{parts.port}").geturl()
    assert "password authentication failed" in await refusal(wrong)


async def test_a_missing_right_to_create_tables_is_explained(connection: asyncpg.Connection) -> None:
    await connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC; SET ROLE pg_monitor")
    with pytest.raises(StoreRefusedError, match=r"does not let the user .* permission denied for schema public"):
        await migrate(connection)
    await connection.execute("RESET ROLE; CREATE SCHEMA hidden; SET search_path = hidden; SET ROLE pg_monitor")
    with pytest.raises(StoreRefusedError, match=r"does not let the user .* no schema has been selected"):
        await migrate(connection)


async def test_a_read_only_database_may_be_writable_later(connection: asyncpg.Connection) -> None:
    await connection.execute("SET default_transaction_read_only = on")
    with pytest.raises(StoreUnavailableError, match="is read-only"):
        await migrate(connection, [FIRST])
    await connection.execute("SET default_transaction_read_only = off")
    assert await migrate(connection, [FIRST]) == [1]
