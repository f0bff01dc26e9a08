"""The connection to Redis, with short time limits and few retries."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import AuthenticationError, ResponseError

from marketstream.authorities import redis_url
from marketstream.redis.address import address_of
from marketstream.redis.errors import LiveStoreRefusedError, LiveStoreUnavailableError, translated_errors
from marketstream.redis.servers import pool_of
from marketstream.settings import Settings

CONNECT_S: Final = 1.0
"""Maximum seconds of one attempt to connect."""

ANSWER_S: Final = 2.0
"""Maximum seconds of one answer. Redis usually takes less than a millisecond."""

RETRIES: Final = 2
"""Retries of a call that found no connection: enough for a restart of Redis or a dropped connection."""

CONNECTIONS: Final = 32
"""Maximum number of connections of a process. Further calls wait for a free connection."""


class _Retry(Retry):
    """Retries of lost connections. redis-py counts a refused login as one, but to repeat it at once may lock a user."""

    async def call_with_retry(
        self,
        do: Callable[[], Awaitable[Any]],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> Any:
        """Call `do` and, if it raises an error that may pass, call it again. Raises the last error."""

        def may_pass(error: Exception) -> bool:
            return not isinstance(error, AuthenticationError) and (is_retryable is None or is_retryable(error))

        return await super().call_with_retry(do, fail, may_pass, with_failure_count)


def connect(settings: Settings) -> Redis:
    """Return a client for REDIS_URL that decodes answers to text. It connects on first use and reconnects by itself.

    Raises SettingsError when REDIS_URL is missing or cannot be used.
    """
    settings.require("redis_url")
    pool = pool_of(
        address_of(redis_url(settings)),
        max_connections=CONNECTIONS,
        timeout=ANSWER_S,
        decode_responses=True,
        socket_connect_timeout=CONNECT_S,
        socket_timeout=ANSWER_S,
        health_check_interval=30,
        client_name="marketstream",
        retry=_Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.2), RETRIES),
    )
    return Redis.from_pool(pool)


def check_redis_url(settings: Settings) -> None:
    """Raise SettingsError if REDIS_URL has a parameter that cannot be used."""
    address_of(redis_url(settings))


async def check_server(redis: Redis) -> None:
    """Raise LiveStoreRefusedError if REDIS_URL leads to a Redis Cluster, or to a database that Redis does not have.

    Raises nothing if Redis is unreachable or silent, as later calls wait for Redis. Takes CONNECT_S + ANSWER_S at most,
    without the retries that a silent Redis would cost.
    """
    with contextlib.suppress(LiveStoreUnavailableError), translated_errors():
        async with asyncio.timeout(CONNECT_S + ANSWER_S):
            try:
                await redis.ping()
            except ResponseError as error:
                if "DB index" not in str(error):
                    raise
                raise LiveStoreRefusedError(f"REDIS_URL names a database that Redis does not have: {error}") from error
