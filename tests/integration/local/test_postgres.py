"""The embedded PostgreSQL: durable, private, and back after faults."""

import asyncio

import asyncpg
import pytest
from marketstream.local.postgres import PostgresServer

from tests.harness.clients import query
from tests.harness.servers import pause, resume


async def test_each_test_has_its_own_database(database_url: str) -> None:
    await query(database_url, "CREATE TABLE only_here (id INT)")
    assert await query(database_url, "SELECT * FROM only_here") == []


async def test_a_wrong_password_is_refused(postgres: PostgresServer) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await query(postgres.address.replace("@", "x@", 1), "SELECT 1")


async def test_postgres_resumes_after_a_pause(postgres: PostgresServer, database_url: str) -> None:
    pause(postgres)
    answering = asyncio.create_task(query(database_url, "SELECT 1 AS one"))
    done, _ = await asyncio.wait([answering], timeout=0.5)
    assert not done
    resume(postgres)
    assert (await answering)[0]["one"] == 1


async def test_postgres_keeps_committed_rows_when_it_is_killed(postgres: PostgresServer, database_url: str) -> None:
    await query(database_url, "CREATE TABLE kept AS SELECT 7 AS answer")
    await postgres.kill()
    await postgres.start()
    assert (await query(database_url, "SELECT answer FROM kept"))[0]["answer"] == 7
