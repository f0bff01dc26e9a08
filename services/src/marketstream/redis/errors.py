"""Errors of Redis. A caller that catches LiveStoreError catches all of them.

LiveStoreError
├── LiveStoreUnavailableError   Redis does not answer: retrying may help
├── LiveStoreRefusedError       REDIS_URL leads to a Redis Cluster, or its user may not read: retrying does not help
└── LiveStoreContentError       a key holds data that no processor wrote: retrying does not help
"""

import contextlib
from collections.abc import Iterator
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    NoPermissionError,
    RedisError,
)

from marketstream.redis.servers import ClusterError

_LOGIN: Final = (AuthenticationError, AuthenticationWrongNumberOfArgsError, AuthorizationError)


class LiveStoreError(Exception):
    """Base class of all errors of Redis."""


class LiveStoreUnavailableError(LiveStoreError):
    """Redis is unreachable or does not answer in time. Retrying may help."""


class LiveStoreRefusedError(LiveStoreError):
    """REDIS_URL leads to a server that cannot be used here, or its user may not read. Retrying does not help."""


class LiveStoreContentError(LiveStoreError):
    """A key or a frame holds data that no processor writes: another program uses the same database."""


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Turn errors of redis-py or the operating system, and time-outs, that the block raises into a LiveStoreError.

    A refused login or command counts as an outage, because the user is probably being changed: Redis holds nothing that
    a processor would have to stop for.
    """
    try:
        yield
    except ClusterError as error:
        raise LiveStoreRefusedError(
            f"REDIS_URL cannot be used: {error}. Use a single Redis, with or without Sentinels"
        ) from error
    except _LOGIN as error:
        raise LiveStoreUnavailableError(f"Redis refuses the login of REDIS_URL: {said(error)}") from error
    except NoPermissionError as error:
        raise LiveStoreUnavailableError(f"Redis refuses a command to the user of REDIS_URL: {said(error)}") from error
    except (RedisError, OSError, TimeoutError) as error:
        raise LiveStoreUnavailableError(f"Redis is unavailable: {said(error)}") from error


def said(error: BaseException) -> str:
    """Return the error as one line. A time-out has no text of its own and becomes "no answer in time"."""
    return " ".join(str(error).split()) or "no answer in time"
