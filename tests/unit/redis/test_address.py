"""REDIS_URL as hosting providers hand it out."""

from pathlib import Path
from typing import Any

import pytest
from marketstream.redis.address import OWN, Address, address_of
from marketstream.redis.client import check_redis_url, connect
from marketstream.redis.frames import FrameListener
from marketstream.redis.servers import SENTINEL_S
from marketstream.settings import Settings, SettingsError

PLAIN = "redis://user:p%40ss@redis.example:6380/3"
SENTINELS = "redis+sentinel://user:p%40ss@one:26380,two/mymaster/3"
LOGIN = {"username": "user", "password": "p@ss", "db": 3}


def read(url: str, query: str = "") -> Address:
    return address_of(f"{url}?{query}" if query else url)


def test_a_plain_url_names_server_login_and_database() -> None:
    assert read(PLAIN) == Address({**LOGIN, "host": "redis.example", "port": 6380}, False, [], "", {})
    assert "db" not in read("redis://localhost").given


def test_sentinels_have_a_login_of_their_own() -> None:
    address = read(SENTINELS, "sentinel_username=watcher&sentinel_password=hush")
    own = {"username": "watcher", "password": "hush"}
    assert address == Address(LOGIN, False, [("one", 26380), ("two", 26379)], "mymaster", own)
    assert read(SENTINELS).sentinel_given == {}


def test_sentinels_are_verified_like_the_primary_unless_the_url_says_otherwise() -> None:
    url = "rediss+sentinel://user:secret@one/mymaster"
    (sentinel,) = _sentinels(url, "ssl_cert_reqs=none&ssl_min_version=772")
    assert (sentinel["ssl_cert_reqs"], sentinel["ssl_min_version"]) == ("none", 772)
    assert sentinel["username"] is None
    (sentinel,) = _sentinels(url, "ssl_cert_reqs=none&sentinel_ssl_cert_reqs=required")
    assert sentinel["ssl_cert_reqs"] == "required"


def _sentinels(url: str, query: str) -> list[dict[str, Any]]:
    """Return redis-py's parameters of the connections to the Sentinels, as a service makes them."""
    pool: Any = connect(Settings(redis_url=f"{url}?{query}")).connection_pool
    return [client.connection_pool.connection_kwargs for client in pool.sentinel_manager.sentinels]


@pytest.mark.parametrize("url", [PLAIN, SENTINELS])
def test_the_url_does_not_change_the_limits(url: str) -> None:
    limits = "socket_timeout=600&socket_connect_timeout=600&max_connections=1&timeout=600&health_check_interval=0"
    pool = connect(Settings(redis_url=f"{url}?{limits}&retry_on_timeout=true&encoding=latin-1")).connection_pool
    plain = connect(Settings(redis_url=url)).connection_pool
    assert (pool.max_connections, vars(pool)["timeout"]) == (plain.max_connections, vars(plain)["timeout"])
    for name in OWN | {"retry"}:
        assert pool.connection_kwargs.get(name) == plain.connection_kwargs.get(name)


@pytest.mark.parametrize("limit", ["sentinel_socket_timeout=600", "sentinel_socket_connect_timeout=600"])
def test_the_url_does_not_change_the_limits_of_sentinels(limit: str) -> None:
    (usual, _), (given, _) = _sentinels(SENTINELS, "db=3"), _sentinels(SENTINELS, limit)
    assert given["socket_timeout"] == usual["socket_timeout"] == SENTINEL_S
    assert given["socket_connect_timeout"] == usual["socket_connect_timeout"] == SENTINEL_S


@pytest.mark.parametrize("url", [PLAIN, SENTINELS])
@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("ssl=true", "parameter ssl,"),
        ("retry=3", "parameter retry,"),
        ("host=elsewhere", "parameter host,"),
        ("connection_class=Plain", "parameter connection_class,"),
        ("ssl_ca_certs=/etc/ca.pem", "parameter ssl_ca_certs, which needs TLS"),
        ("db=first", "db with an unknown value"),
        ("db=-1", "db below 0"),
        ("protocol=5", "correct protocol"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_refused_by_name(url: str, query: str, named: str) -> None:
    for check in (check_redis_url, connect, FrameListener):
        with pytest.raises(SettingsError) as refusal:
            check(Settings(redis_url=f"{url}?{query}"))  # type: ignore[operator]
        assert str(refusal.value).startswith("REDIS_URL ")
        assert named in str(refusal.value)
        assert "\n" not in str(refusal.value)
        assert "p%40ss" not in str(refusal.value)
        assert "p@ss" not in str(refusal.value)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("ssl_cert_reqs=CERT_NONE", "correct ssl_cert_reqs"),
        ("ssl_ca_certs=/nowhere/ca.pem", "ssl_ca_certs without a readable file"),
        ("ssl_ciphers=none-such", "cannot be used ("),
        ("ssl_min_version=new", "ssl_min_version with an unknown value"),
    ],
)
@pytest.mark.parametrize("url", ["rediss://redis.example", "rediss+sentinel://one,two/mymaster"])
def test_a_parameter_of_tls_that_cannot_be_used_is_refused(url: str, query: str, named: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        read(url, query)
    assert named in str(refusal.value)


def test_a_file_that_is_no_certificate_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(SettingsError, match=r"REDIS_URL has parameters that cannot be used \("):
        read("rediss://redis.example", f"ssl_ca_certs={file}")


@pytest.mark.parametrize("path", ["/first", "/0/1", "/-1", "/²"])
def test_a_path_that_is_no_database_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match="expected the number of a database"):
        read(f"redis://redis.example{path}")


@pytest.mark.parametrize("query", ["sentinel_ssl=true", "sentinel_user=me"])
def test_a_parameter_of_the_sentinels_is_refused_by_its_whole_name(query: str) -> None:
    with pytest.raises(SettingsError, match=f"parameter {query.partition('=')[0]},"):
        read(SENTINELS, query)
