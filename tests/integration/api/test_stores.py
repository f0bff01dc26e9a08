"""The API while PostgreSQL or Redis is unavailable, frozen, refuses or starts later."""

import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from marketstream.local.postgres import PostgresServer
from marketstream.local.redis import RedisServer
from marketstream.settings import Settings

from tests.harness.servers import pause, resume
from tests.integration.api.serving import SOON_S, away, get, problem, ready, running, until


async def test_redis_fails_and_returns(
    filled: httpx.AsyncClient, settings: Settings, redis_server: RedisServer
) -> None:
    pause(redis_server)
    try:
        begun = time.monotonic()
        body = await problem(filled, "/price", 503, "store-away")
        assert time.monotonic() - begun < SOON_S
        assert "Redis is unavailable" in body["detail"]
        assert (await filled.get("/price")).headers["retry-after"] == "2"
        await until(lambda: away(filled, "redis"))
        assert len(await get(filled, "/candles")) == 50
    finally:
        resume(redis_server)
    await until(lambda: ready(filled))
    await get(filled, "/price")


async def test_postgresql_killed_and_restarted(filled: httpx.AsyncClient, postgres: PostgresServer) -> None:
    await get(filled, "/price")
    await postgres.kill()
    try:
        body = await problem(filled, "/candles", 503, "store-away")
        assert "PostgreSQL is unavailable" in body["detail"]
        await until(lambda: away(filled, "postgresql"))
        await get(filled, "/price")  # a known symbol needs Redis only
    finally:
        await postgres.start()
    await until(lambda: ready(filled))
    assert len(await get(filled, "/candles")) == 50


async def test_postgresql_frozen(filled: httpx.AsyncClient, postgres: PostgresServer) -> None:
    pause(postgres)
    try:
        begun = time.monotonic()
        await problem(filled, "/candles", 503, "store-away")
        assert time.monotonic() - begun < SOON_S
    finally:
        resume(postgres)
    await until(lambda: ready(filled))
    assert len(await get(filled, "/candles")) == 50


async def test_a_frozen_database_does_not_delay_the_stop(settings: Settings, postgres: PostgresServer) -> None:
    try:
        async with running(settings) as client:
            await until(lambda: ready(client))
            pause(postgres)
            await until(lambda: away(client, "postgresql"))
            begun = time.monotonic()
        assert time.monotonic() - begun < SOON_S
    finally:
        resume(postgres)


async def test_stores_that_are_unavailable_at_the_start_are_waited_for() -> None:
    settings = Settings(
        database_url="postgresql://nobody@127.0.0.1:1/nothing", redis_url="redis://127.0.0.1:1/0",
        http_host="127.0.0.1", http_port=0,
    )  # fmt: skip
    async with running(settings) as client:
        assert (await client.get("/healthz")).status_code == 200
        await until(lambda: away(client, "postgresql"))
        assert "redis:" in (await client.get("/readyz")).text
        await problem(client, "/candles", 503, "store-away")


async def says(client: httpx.AsyncClient, text: str) -> bool:
    """Return True if readiness reports PostgreSQL with this text."""
    return await away(client, "postgresql") and text in (await client.get("/readyz")).text


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_database_created_after_the_start(settings: Settings) -> None:
    late = f"{settings.database_url}_late"
    name = urlsplit(late).path[1:]
    try:
        async with running(replace(settings, database_url=late)) as client:
            await until(lambda: says(client, f'PostgreSQL refuses DATABASE_URL: database "{name}" does not exist'))
            await execute(settings.database_url, f"CREATE DATABASE {name}")
            await until(lambda: ready(client))
            assert await get(client, "/symbols") == []
    finally:
        await execute(settings.database_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
async def user(postgres: PostgresServer) -> AsyncIterator[str]:
    """A user of PostgreSQL who may connect and nothing else."""
    name = f"test_{uuid.uuid4().hex}"
    await execute(postgres.address, f"CREATE ROLE {name} LOGIN PASSWORD 'right'")
    yield name
    await execute(postgres.address, f"DROP ROLE {name}")


async def test_a_user_admitted_after_the_start(user: str, settings: Settings) -> None:
    parts = urlsplit(settings.database_url)
    theirs = parts._replace(netloc=f"{user}:wrong@{parts.hostname}:{parts.port}").geturl()
    async with running(replace(settings, database_url=theirs)) as client:
        await until(lambda: says(client, "password authentication failed"))
        await execute(settings.database_url, f"ALTER ROLE {user} PASSWORD 'wrong'")
        await until(lambda: says(client, "permission denied for schema public"))
        await execute(settings.database_url, f"GRANT CREATE ON SCHEMA public TO {user}")
        await until(lambda: ready(client))
