"""Errors of redis-py become outages or refusals."""

import pytest
from marketstream.redis.errors import LiveStoreRefusedError, LiveStoreUnavailableError, translated_errors
from marketstream.redis.servers import ClusterError
from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError, ReadOnlyError
from redis.exceptions import ConnectionError as RedisConnectionError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RedisConnectionError("refused"), "Redis is unavailable: refused"),
        (ReadOnlyError("a replica"), "Redis is unavailable: a replica"),
        (BusyLoadingError("Redis is loading"), "Redis is unavailable: Redis is loading"),
        (AuthenticationError("wrong"), "Redis refuses the login of REDIS_URL: wrong"),
        (NoPermissionError("no GET"), "Redis refuses a command to the user of REDIS_URL: no GET"),
        (OSError("no\nroute"), "Redis is unavailable: no route"),
        (OSError("no route"), "Redis is unavailable: no route"),
        (TimeoutError(), "Redis is unavailable: no answer in time"),
    ],
)
def test_an_error_that_may_pass_is_an_outage(error: Exception, text: str) -> None:
    with pytest.raises(LiveStoreUnavailableError) as caught, translated_errors():
        raise error
    assert str(caught.value) == text
    assert caught.value.__cause__ is error


def test_a_cluster_is_refused_by_name() -> None:
    with (
        pytest.raises(LiveStoreRefusedError, match="REDIS_URL cannot be used: it is a Redis Cluster"),
        translated_errors(),
    ):
        raise ClusterError("it is a Redis Cluster")


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(ZeroDivisionError), translated_errors():
        raise ZeroDivisionError
