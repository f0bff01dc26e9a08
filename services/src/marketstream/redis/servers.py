"""REDIS_URL: a single server, an address that leads to the primary, or Sentinels that know the primary.

A server that has become a replica answers writes with an error. Its connection is dropped, so that the next one
reaches the new primary. A Redis Cluster is refused when a connection opens: a script here writes several keys of a
symbol at once, and a cluster keeps these keys on different servers.
"""

from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from redis.asyncio import BlockingConnectionPool, Connection, SSLConnection
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MasterDownError, ReadOnlyError, RedisError, ResponseError

from marketstream.settings import SettingsError

SENTINEL_PORT: Final = 26379
SENTINEL_S: Final = 0.25
"""Maximum seconds for each step with one Sentinel, to connect and to answer, before the next one is queried.

Far below the limit of any call of Redis, in which several Sentinels that do not answer must have their turn.
"""

_FORM: Final = "redis+sentinel://host:port,host:port/name/db, with the Sentinels' name of the primary, such as mymaster"


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


class _PrimaryPool(SentinelConnectionPool, BlockingConnectionPool):
    """Connections to the primary that the Sentinels name: at most max_connections, and callers wait for a free one."""

    async def aclose(self) -> None:
        """Disconnect from the primary and from the Sentinels."""
        await super().aclose()
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()


class _Sentinels(NamedTuple):
    """A REDIS_URL with Sentinels: their addresses and login, the primary's name, and the URL of a server they watch."""

    addresses: list[tuple[str, int]]
    primary: str
    server_url: str
    login: dict[str, str]


def pool_of(url: str, **options: Any) -> BlockingConnectionPool:
    """Return a pool of connections to the primary of REDIS_URL, with redis-py's `options` for pool and connections.

    Raises SettingsError when the URL is malformed.
    """
    if "+sentinel" not in urlsplit(url).scheme:
        given = dict(_parsed(url))
        is_encrypted = given.pop("connection_class", None) is SSLConnection
        return BlockingConnectionPool(**options | given, connection_class=_Encrypted if is_encrypted else _Plain)
    sentinels = _sentinels(url)
    given = dict(_parsed(sentinels.server_url))
    is_encrypted = given.pop("connection_class", None) is SSLConnection
    given.pop("host", None)
    given.pop("port", None)
    encryption: dict[str, Any] = {"ssl": True} if is_encrypted else {}
    manager = Sentinel(  # type: ignore[no-untyped-call]
        sentinels.addresses,
        sentinel_kwargs={
            "socket_timeout": SENTINEL_S, "socket_connect_timeout": SENTINEL_S, "retry": Retry(NoBackoff(), 0),
            **sentinels.login, **encryption,
        },
    )  # fmt: skip
    return _PrimaryPool(  # type: ignore[no-untyped-call]
        sentinels.primary, manager, **options | given,
        connection_class=_EncryptedPrimary if is_encrypted else _PlainPrimary,
    )  # fmt: skip


def _parsed(url: str) -> Any:
    try:
        return parse_url(url)
    except ValueError as error:
        raise SettingsError(f"REDIS_URL cannot be read: {error}") from error


def _sentinels(url: str) -> _Sentinels:
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    primary, _, database = parts.path.strip("/").partition("/")
    if not primary or (database and not database.isdigit()):
        raise SettingsError(f"REDIS_URL names Sentinels but not the primary: expected {_FORM}")
    each = [urlsplit(f"//{host}") for host in hosts.split(",")]
    query = dict(parse_qsl(parts.query))
    own = {name.removeprefix("sentinel_"): query.pop(name) for name in list(query) if name.startswith("sentinel_")}
    scheme = parts.scheme.removesuffix("+sentinel")
    server = f"{scheme}://{login}{'@' * bool(login)}{hosts.split(',')[0]}/{database or 0}"
    return _Sentinels(
        [(host.hostname or "", host.port or SENTINEL_PORT) for host in each],
        primary,
        server + (f"?{urlencode(query)}" if query else ""),
        own,
    )
