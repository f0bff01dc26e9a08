"""A migrated database, for the tests of several packages."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from marketstream.postgres.connect import close_pool, open_pool
from marketstream.postgres.migrate import migrate
from marketstream.settings import Settings


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections, as a processor has them, to a database of this test with all tables."""
    opened = await open_pool(Settings(database_url=database_url), size=4)
    try:
        await migrate(opened)
        yield opened
    finally:
        await close_pool(opened)
