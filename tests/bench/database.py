"""Databases for the benchmarks."""

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg


@contextlib.asynccontextmanager
async def database(url: str, name: str) -> AsyncIterator[str]:
    """Create an empty database in the server of `url`, yield its URL, and drop the database afterwards."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await connection.close()
