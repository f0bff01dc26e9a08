"""Users of Redis with the permissions of docs/reference/redis.md, or with fewer."""

import contextlib
import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from marketstream.redis.client import check_server, connect
from marketstream.settings import Settings
from redis.asyncio import Redis

from tests.harness.needs import PROJECT

DOCUMENT = PROJECT / "docs" / "reference" / "redis.md"
ALWAYS = ["AUTH", "HELLO", "SELECT", "PING", "CLIENT SETNAME", "CLIENT SETINFO"]


def rules(user: str) -> list[str]:
    """Return the rules of ACL SETUSER that the document's table gives a user."""
    rows = {
        cells[0]: cells[1:]
        for line in DOCUMENT.read_text("utf-8").splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 4
    }
    keys, channel, commands = rows[user]
    if keys == "as the processor but `budget:*`":
        keys = rows["processor"][0].replace("`budget:*`", "")
    names = [*commands.split(", "), *ALWAYS]
    return [
        *(f"~{key}" for key in re.findall("`(.+?)`", keys)),
        *(f"&{name}" for name in re.findall("`(.+?)`", channel)),
        *(f"+{name.lower().replace(' ', '|')}" for name in names),
    ]


@contextlib.asynccontextmanager
async def logged_in(url: str, name: str, *given: str) -> AsyncIterator[tuple[Settings, Redis]]:
    """Yield the settings and the checked client of a new user with the rules `given`."""
    async with Redis.from_url(url) as admin:
        await admin.execute_command("ACL", "SETUSER", name, "reset", "on", ">secret", *given)
        settings = Settings(redis_url=urlsplit(url)._replace(netloc=f"{name}:secret@{urlsplit(url).netloc}").geturl())
        redis = connect(settings)
        try:
            await check_server(redis)
            yield settings, redis
        finally:
            await redis.aclose()
            await admin.execute_command("ACL", "DELUSER", name)
