"""A database that is being replaced, or whose password is being changed."""

from urllib.parse import urlsplit

from marketstream.settings import Settings

from tests.harness.clients import query


def admin_url(settings: Settings) -> str:
    """Return another database of the same server, which does not share the trouble of the test's database."""
    return urlsplit(settings.database_url)._replace(path="/postgres").geturl()


def database_of(settings: Settings) -> str:
    """Return the name of the test's database."""
    return urlsplit(settings.database_url).path.removeprefix("/")


async def set_read_only(settings: Settings, *, is_on: bool) -> None:
    """Have new sessions refuse writes, as on a standby, or accept them again. Refusing ends the current sessions."""
    value = "on" if is_on else "off"
    name = database_of(settings)
    await query(admin_url(settings), f"ALTER DATABASE {name} SET default_transaction_read_only = {value}")
    if is_on:
        await end_sessions(settings)


async def add_user(settings: Settings) -> Settings:
    """Return the settings for a user of the test's own, who owns its database."""
    name, host = database_of(settings), urlsplit(settings.database_url).netloc.rpartition("@")[2]
    await query(admin_url(settings), f"CREATE ROLE {name} LOGIN PASSWORD 'first'")
    await query(admin_url(settings), f"ALTER DATABASE {name} OWNER TO {name}")
    return settings.but(database_url=f"postgresql://{name}:first@{host}/{name}")


async def set_refused(settings: Settings, *, is_on: bool) -> None:
    """Change the password of the user of `add_user`, or restore it. Changing it also ends the current sessions."""
    name = database_of(settings)
    await query(admin_url(settings), f"ALTER ROLE {name} PASSWORD '{'second' if is_on else 'first'}'")
    if is_on:
        await end_sessions(settings)


async def end_sessions(settings: Settings) -> None:
    """End all sessions in the test's database."""
    statement = (
        f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database_of(settings)}'"
    )
    await query(admin_url(settings), statement)
