"""What a database does while it is replaced, or its password changed."""

from urllib.parse import urlsplit

from marketstream.settings import Settings

from tests.harness.clients import query


def admin_url(settings: Settings) -> str:
    """Another database of the same server: what happens to that of the test does not happen to it."""
    return urlsplit(settings.database_url)._replace(path="/postgres").geturl()


def database_of(settings: Settings) -> str:
    """The name of the test's database."""
    return urlsplit(settings.database_url).path.removeprefix("/")


async def set_read_only(settings: Settings, *, is_on: bool) -> None:
    """New sessions take no writes, as on a standby, or take them again; those of now end when they no longer do."""
    value = "on" if is_on else "off"
    name = database_of(settings)
    await query(admin_url(settings), f"ALTER DATABASE {name} SET default_transaction_read_only = {value}")
    if is_on:
        await end_sessions(settings)


async def add_user(settings: Settings) -> Settings:
    """The same settings for a user of the test's own, to whom its database belongs."""
    name, host = database_of(settings), urlsplit(settings.database_url).netloc.rpartition("@")[2]
    await query(admin_url(settings), f"CREATE ROLE {name} LOGIN PASSWORD 'first'")
    await query(admin_url(settings), f"ALTER DATABASE {name} OWNER TO {name}")
    return settings.but(database_url=f"postgresql://{name}:first@{host}/{name}")


async def set_refused(settings: Settings, *, is_on: bool) -> None:
    """The password of `add_user` is another, or the same again; the sessions of now end when it is."""
    name = database_of(settings)
    await query(admin_url(settings), f"ALTER ROLE {name} PASSWORD '{'second' if is_on else 'first'}'")
    if is_on:
        await end_sessions(settings)


async def end_sessions(settings: Settings) -> None:
    """Ends all sessions in the test's database."""
    statement = (
        f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database_of(settings)}'"
    )
    await query(admin_url(settings), statement)
