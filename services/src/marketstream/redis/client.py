"""The connection to Redis: no call waits for long, and few are tried again."""

import contextlib
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from marketstream.redis.errors import LiveStoreUnavailableError, translated_errors
from marketstream.redis.servers import pool_of
from marketstream.settings import Settings

CONNECT_S: Final = 1.0
ANSWER_S: Final = 2.0
"""Seconds for one attempt to connect, and for one answer: Redis takes less than a millisecond."""

RETRIES: Final = 2
"""How often a call that found no connection is tried again: enough for a restart of Redis or a dropped connection."""

CONNECTIONS: Final = 32
"""Most connections of a process; a call beyond them waits for one that is free."""


def connect(settings: Settings) -> Redis:
    """A client of REDIS_URL with text answers. It connects when first used, and again after Redis was away.

    Raises SettingsError when REDIS_URL is missing or of no form that is known here.
    """
    settings.require("redis_url")
    pool = pool_of(
        settings.redis_url,
        max_connections=CONNECTIONS,
        timeout=ANSWER_S,
        decode_responses=True,
        socket_connect_timeout=CONNECT_S,
        socket_timeout=ANSWER_S,
        health_check_interval=30,
        client_name="marketstream",
        retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.2), RETRIES),
    )
    return Redis.from_pool(pool)


async def check_server(redis: Redis) -> None:
    """Raise LiveStoreRefusedError if Redis is of a kind that cannot be used here.

    A Redis that cannot be reached now raises nothing: it is waited for later.
    """
    with contextlib.suppress(LiveStoreUnavailableError), translated_errors():
        await redis.ping()
