"""REDIS_URL: the servers, the logins and the parameters, all checked before anything connects.

A parameter is honoured, passed over because MarketStream decides it, or refused by name.
"""

import re
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from redis.asyncio import Connection, SSLConnection
from redis.asyncio.connection import parse_url
from redis.exceptions import RedisError

from marketstream.settings import SettingsError

SENTINEL_PORT: Final = 26379

ENCRYPTION: Final = frozenset({
    "ssl_ca_certs", "ssl_ca_data", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_ciphers",
    "ssl_exclude_verify_flags", "ssl_include_verify_flags", "ssl_keyfile", "ssl_min_version", "ssl_password",
})  # fmt: skip
"""Parameters of connections with TLS, named by redis-py. They also apply to Sentinels, which may have their own."""

HONOURED: Final = frozenset({"db", "password", "protocol", "username"})
"""Parameters of connections with and without TLS."""

OWN: Final = frozenset({
    "client_name", "decode_responses", "encoding", "encoding_errors", "health_check_interval", "legacy_responses",
    "max_connections", "retry_on_timeout", "socket_connect_timeout", "socket_keepalive", "socket_read_size",
    "socket_timeout", "timeout",
})  # fmt: skip
"""Parameters of redis-py that MarketStream decides itself, as the limit of each wait depends on them. Passed over."""

_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_LOGIN: Final = frozenset({"db", "host", "password", "port", "ssl_password", "username"})
_NAME: Final = re.compile(r"Invalid value for '?(\w+)")
_SENTINEL: Final = "sentinel_"
_FORM: Final = "redis+sentinel://host:port,host:port/name/db, with the Sentinels' name of the primary, such as mymaster"


class Address(NamedTuple):
    """The servers that REDIS_URL leads to. `given` are redis-py's parameters of connections to Redis.

    With Sentinels, `primary` is their name of the primary, and `sentinel_given` are the parameters of connections to
    them. Otherwise `sentinels` is empty.
    """

    given: dict[str, Any]
    is_encrypted: bool
    sentinels: list[tuple[str, int]]
    primary: str
    sentinel_given: dict[str, Any]


def address_of(url: str) -> Address:
    """Return the address that REDIS_URL describes.

    Raises SettingsError for a parameter that is unknown or cannot be used. The message never shows the URL.
    """
    if "+sentinel" in urlsplit(url).scheme:
        return _behind_sentinels(url)
    database = urlsplit(url).path.strip("/")
    if database and not _is_number(database):
        raise SettingsError("REDIS_URL has a path that is no number: expected the number of a database, such as /0")
    given, is_encrypted = _parsed(url)
    return Address(given, is_encrypted, [], "", {})


def _behind_sentinels(url: str) -> Address:
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    primary, _, database = parts.path.strip("/").partition("/")
    if not primary or (database and not _is_number(database)):
        raise SettingsError(f"REDIS_URL names Sentinels but not the primary: expected {_FORM}")
    each = [urlsplit(f"//{host}") for host in hosts.split(",")]
    query = dict(parse_qsl(parts.query))
    own = {name.removeprefix(_SENTINEL): query.pop(name) for name in list(query) if name.startswith(_SENTINEL)}
    scheme = parts.scheme.removesuffix("+sentinel")
    given, is_encrypted = _parsed(f"{scheme}://{login}{'@' * bool(login)}/{database or 0}?{urlencode(query)}")
    # A Sentinel presents a certificate of the same authority, unless the URL says otherwise. Its login is another.
    for_sentinels = {name: value for name, value in query.items() if name in ENCRYPTION} | own
    sentinel_given, _ = _parsed(f"{scheme}://?{urlencode(for_sentinels)}", _SENTINEL)
    return Address(
        given, is_encrypted, [(host.hostname or "", host.port or SENTINEL_PORT) for host in each], primary,
        sentinel_given,
    )  # fmt: skip


def _parsed(url: str, prefix: str = "") -> tuple[dict[str, Any], bool]:
    """Return the parameters of the URL, and True if it demands TLS. `prefix` is that of their names in REDIS_URL."""
    try:
        given: dict[str, Any] = dict(parse_url(url))
    except ValueError as error:
        # Only the name is taken from the error: another one may show a part of the password.
        if found := _NAME.search(str(error)):
            raise SettingsError(f"REDIS_URL has {prefix}{found[1]} with an unknown value") from None
        raise SettingsError("REDIS_URL cannot be read: expected redis://:password@host:port/0") from None
    is_encrypted = given.pop("connection_class", None) is SSLConnection
    known = HONOURED | ENCRYPTION | OWN
    for name in dict(parse_qsl(urlsplit(url).query)):
        if name not in known:
            raise SettingsError(
                f"REDIS_URL has the parameter {prefix}{name}, which is unknown: remove it "
                "(expected parameters such as ssl_ca_certs; rediss:// demands TLS)"
            )
        if name in ENCRYPTION and not is_encrypted:
            raise SettingsError(f"REDIS_URL has the parameter {prefix}{name}, which needs TLS: begin with rediss")
    given = {name: value for name, value in given.items() if name not in OWN}
    _check(given, is_encrypted, prefix)
    return given, is_encrypted


def _check(given: dict[str, Any], is_encrypted: bool, prefix: str) -> None:
    """Raise SettingsError if no connection can be made of the parameters. Nothing is connected."""
    if given.get("db", 0) < 0:
        raise SettingsError("REDIS_URL has a db below 0: expected the number of a database, such as 0")
    for name in _FILES:
        if name in given and not Path(given[name]).is_file():
            raise SettingsError(f"REDIS_URL has {prefix}{name} without a readable file: expected its path")
    if is_encrypted:
        given.setdefault("ssl_password", "")  # otherwise OpenSSL asks for it on the terminal
    try:
        if is_encrypted:
            SSLConnection(**given).ssl_context.get()
        else:
            Connection(**given)
    except (OSError, TypeError, ValueError, RedisError) as error:
        why = type(error).__name__  # its text may show a value
        raise SettingsError(
            f"REDIS_URL has parameters that cannot be used ({why}): correct {_names(given, prefix)}"
        ) from None


def _names(given: dict[str, Any], prefix: str) -> str:
    return ", ".join(f"{prefix}{name}" for name in sorted(given) if name not in _LOGIN) or "its parameters"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
