"""Connections to a single server, to an address that leads to the primary, or to the primary that Sentinels name.

A server that has become a replica answers writes with an error. Its connection is dropped, so that the next one
reaches the new primary. A Redis Cluster is refused when a connection opens: a script here writes several keys of a
symbol at once, and a cluster keeps these keys on different servers.
"""

from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MasterDownError, ReadOnlyError, RedisError, ResponseError

from marketstream.redis.address import Address

SENTINEL_S: Final = 0.25
"""Maximum seconds for each step with one Sentinel, to connect and to answer, before the next one is queried.

Far below the limit of any call of Redis, in which several Sentinels that do not answer must have their turn.
"""


class ClusterError(RedisError):
    """REDIS_URL leads to a Redis Cluster."""


class _Checks:
    """Mixin for connections: refuse a cluster, and drop the connection to a server that accepts no writes."""

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Greet the server. Raises ClusterError."""
        await super().on_connect_check_health(check_health)  # type: ignore[misc]
        try:
            await self.send_command("INFO", "cluster")  # type: ignore[attr-defined]
            answer = await self.read_response()
        except ResponseError:  # a hosting provider that does not allow INFO
            return
        if "cluster_enabled:1" in (answer if isinstance(answer, str) else bytes(answer).decode()):
            raise ClusterError("it is a Redis Cluster, which keeps the keys of one symbol on different servers")

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Return the next answer. Disconnect after an error that only a replica returns."""
        try:
            return await super().read_response(*args, **kwargs)  # type: ignore[misc]
        except (ReadOnlyError, MasterDownError) as error:
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]
            raise RedisConnectionError(f"the server is a replica now: {error}") from error


class _Plain(_Checks, Connection):
    pass


class _Encrypted(_Checks, SSLConnection):
    pass


class _PlainPrimary(_Checks, SentinelManagedConnection):
    pass


class _EncryptedPrimary(_Checks, SentinelManagedSSLConnection):
    pass


class _Sentinels(Sentinel):
    """Sentinels, of which some may be unreachable, silent, or no Sentinels at all."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return the address of the primary that the first Sentinel with an answer names. Queried first the next time.

        redis-py's own method ends at the first Sentinel that refuses the query, and its error has all attributes of
        its objects instead of what happened. Raises MasterNotFoundError.
        """
        problems = []
        for number, sentinel in enumerate(self.sentinels):
            try:
                masters: Any = await sentinel.sentinel_masters()
            except (RedisError, OSError, TimeoutError) as error:
                problem = str(error) or "no answer in time"
            else:
                state = masters.get(service_name)
                if state and self.check_master_state(state, service_name):
                    self.sentinels[0], self.sentinels[number] = sentinel, self.sentinels[0]
                    return state["ip"], state["port"]
                problem = "it is down" if state else "unknown"
            address = sentinel.connection_pool.connection_kwargs
            problems.append(f"{address['host']}:{address['port']}: {problem}")
        raise MasterNotFoundError(f"no Sentinel names a primary {service_name} ({'; '.join(problems)})")


class _PrimaryPool(SentinelConnectionPool, BlockingConnectionPool):
    """Connections to the primary that the Sentinels name: at most max_connections, and callers wait for a free one."""

    async def aclose(self) -> None:
        """Disconnect from the primary and from the Sentinels."""
        await super().aclose()
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()


def pool_of(address: Address, **options: Any) -> BlockingConnectionPool:
    """Return a pool of connections to the primary, with redis-py's `options` for pool and connections."""
    if not address.sentinels:
        return BlockingConnectionPool(
            **address.given | options, connection_class=_Encrypted if address.is_encrypted else _Plain
        )
    manager = _Sentinels(  # type: ignore[no-untyped-call]
        address.sentinels,
        sentinel_kwargs={
            **address.sentinel_given, "ssl": address.is_encrypted, "socket_timeout": SENTINEL_S,
            "socket_connect_timeout": SENTINEL_S, "retry": Retry(NoBackoff(), 0),
        },
    )  # fmt: skip
    return _PrimaryPool(  # type: ignore[no-untyped-call]
        address.primary, manager, **address.given | options,
        connection_class=_EncryptedPrimary if address.is_encrypted else _PlainPrimary,
    )  # fmt: skip
