"""A real PostgreSQL that refuses: each refusal is classified once, said in one line, and passes when it is lifted."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import asyncpg
import pytest
from marketstream.postgres.connect import close_pool, lazy_pool, open_pool, wait_for
from marketstream.postgres.errors import StoreError, StoreRefusedError, StoreUnavailableError
from marketstream.postgres.migrate import migrate
from marketstream.postgres.reader import StoreReader
from marketstream.postgres.writer import SymbolKey, Writer
from marketstream.settings import Settings

from tests.harness.clients import within
from tests.harness.pgbouncer import pgbouncer

KEY = SymbolKey("binance", "BTCUSDT")
LIMIT_S = 15


class Owned(NamedTuple):
    """A migrated database that belongs to a user of its own; `admin` is a superuser's session in it."""

    admin: asyncpg.Connection
    user: str
    name: str
    url: str

    async def lift(self, order: str) -> None:
        """Execute an order about {user} or {name}."""
        await self.admin.execute(order.format(user=self.user, name=self.name))


@pytest.fixture
async def owned(database_url: str) -> AsyncIterator[Owned]:
    user, url = f"user_{uuid.uuid4().hex[:8]}", urlsplit(database_url)
    admin = await asyncpg.connect(database_url)
    name = url.path.removeprefix("/")
    await admin.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'first'; ALTER DATABASE {name} OWNER TO {user}")
    own = Owned(admin, user, name, url._replace(netloc=f"{user}:first@{url.hostname}:{url.port}").geturl())
    pool = await open_pool(Settings(database_url=own.url), size=1)
    await migrate(pool)
    await close_pool(pool)
    yield own
    await admin.execute(f"ALTER DATABASE {name} OWNER TO CURRENT_USER; REASSIGN OWNED BY {user} TO CURRENT_USER")
    await admin.execute(f"DROP OWNED BY {user}; DROP ROLE {user}")
    await admin.close()


OUTAGES = [
    ("ALTER ROLE {user} PASSWORD 'second'", "ALTER ROLE {user} PASSWORD 'first'", "refuses DATABASE_URL: password"),
    ("ALTER ROLE {user} NOLOGIN", "ALTER ROLE {user} LOGIN", "refuses DATABASE_URL: role"),
    ("ALTER ROLE {user} CONNECTION LIMIT 0", "ALTER ROLE {user} CONNECTION LIMIT -1", "too many connections"),
    (
        "ALTER ROLE {user} SET default_transaction_read_only = on", "ALTER ROLE {user} RESET ALL",
        "PostgreSQL is read-only, like a standby",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("order", "lifted", "said"), OUTAGES)
async def test_a_refusal_of_a_running_service_is_an_outage(owned: Owned, order: str, lifted: str, said: str) -> None:
    await owned.lift(order)
    pool = await lazy_pool(Settings(database_url=owned.url), size=2)
    try:
        with pytest.raises(StoreUnavailableError) as refused:
            await Writer(pool).claim({KEY: "topic"})
        assert said in str(refused.value)
        assert "\n" not in str(refused.value)
        await owned.lift(lifted)

        async def claims() -> None:
            await Writer(pool).claim({KEY: "topic"})

        await within(LIMIT_S, claims)
    finally:
        await close_pool(pool)


@pytest.mark.parametrize(("order", "lifted", "said"), OUTAGES[:2])
async def test_a_refused_login_ends_a_start(owned: Owned, order: str, lifted: str, said: str) -> None:
    await owned.lift(order)
    with pytest.raises(StoreRefusedError, match=said) as refused:
        await open_pool(Settings(database_url=owned.url), size=1)
    assert "\n" not in str(refused.value)
    await owned.lift(lifted)


async def test_a_right_that_was_revoked_is_a_refusal(owned: Owned) -> None:
    await owned.lift("ALTER TABLE progress OWNER TO CURRENT_USER")
    pool = await lazy_pool(Settings(database_url=owned.url), size=1)
    try:
        with pytest.raises(StoreRefusedError, match=r"refuses a statement \(42501\): permission denied") as refused:
            await StoreReader(pool).symbols()
        assert "\n" not in str(refused.value)
        await owned.lift("ALTER TABLE progress OWNER TO {user}")
        await StoreReader(pool).symbols()
    finally:
        await close_pool(pool)


@pytest.mark.parametrize(
    "order",
    [
        "ALTER ROLE {user} SET statement_timeout = '1ms'",
        "ALTER ROLE {user} SET idle_in_transaction_session_timeout = '1ms'",
        "ALTER ROLE {user} SET idle_session_timeout = '50ms'",
    ],
)
async def test_limits_of_the_server_do_not_stop_reads_and_writes(owned: Owned, order: str) -> None:
    await owned.lift(order)
    pool = await lazy_pool(Settings(database_url=owned.url), size=1)
    try:
        reader, writer = StoreReader(pool), Writer(pool)
        for _ in range(3):
            await writer.claim({KEY: "topic"})
            assert [followed.symbol for followed in await reader.symbols()] == ["BTCUSDT"]

            async def no_session() -> None:
                sessions = "SELECT FROM pg_stat_activity WHERE usename = $1"
                assert "idle_session" not in order or not await owned.admin.fetch(sessions, owned.user)

            await within(LIMIT_S, no_session)
    finally:
        await close_pool(pool)


@pytest.mark.parametrize(
    ("mode", "query", "said"),
    [("transaction", "?options=-cgeqo%3Doff", "options"), ("statement", "", "statement pooling")],
)
async def test_what_a_pooler_never_accepts_ends_a_start_at_once(
    tmp_path: Path, owned: Owned, mode: str, query: str, said: str
) -> None:
    async with pgbouncer(tmp_path, owned.url, mode) as url:
        pool = await lazy_pool(Settings(database_url=url + query), size=1)
        try:
            with pytest.raises(StoreRefusedError, match=f"the pooler of PostgreSQL cannot be used: .*{said}"):
                await wait_for(pool, LIMIT_S, to_write=True)
        finally:
            await close_pool(pool)


async def test_a_restart_of_the_pooler_is_an_outage(tmp_path: Path, owned: Owned) -> None:
    (tmp_path / "one").mkdir()
    async with pgbouncer(tmp_path / "one", owned.url, "transaction") as url:
        pool = await open_pool(Settings(database_url=url), size=2)
        await StoreReader(pool).symbols()
    with pytest.raises(StoreError) as found:
        await StoreReader(pool).symbols()
    assert isinstance(found.value, StoreUnavailableError)
    assert "\n" not in str(found.value)
    await close_pool(pool)
