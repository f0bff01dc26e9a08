"""Errors of Redis. A caller that catches LiveStoreError catches all of them.

LiveStoreError
├── LiveStoreUnavailableError   Redis does not answer: retrying may help
├── LiveStoreRefusedError       Redis is a cluster: retrying does not help
└── LiveStoreContentError       a key holds what no processor wrote: retrying does not help
"""

import contextlib
from collections.abc import Iterator

from redis.exceptions import RedisError

from marketstream.redis.servers import ClusterError


class LiveStoreError(Exception):
    """Base class of all errors of Redis."""


class LiveStoreUnavailableError(LiveStoreError):
    """Redis is away or does not answer in time. Retrying may help."""


class LiveStoreRefusedError(LiveStoreError):
    """REDIS_URL leads to a server that cannot be used here. Retrying does not help."""


class LiveStoreContentError(LiveStoreError):
    """A key holds something else than the processor writes: another program uses the same database."""


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Raise LiveStoreUnavailableError in place of an error of the connection, a refusal or a time-out."""
    try:
        yield
    except ClusterError as error:
        raise LiveStoreRefusedError(
            f"REDIS_URL cannot be used: {error}. Give a single Redis, with or without Sentinels"
        ) from error
    except (RedisError, OSError, TimeoutError) as error:
        raise LiveStoreUnavailableError(f"Redis is away: {said(error)}") from error


def said(error: BaseException) -> str:
    """Return the error as text, also for a time-out, which has none of its own."""
    return str(error) or "no answer in time"
