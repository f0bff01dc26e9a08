"""DATABASE_CA and REDIS_CA as parameters of the URLs."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from marketstream.authorities import database_url, redis_url
from marketstream.redis.address import address_of
from marketstream.settings import Settings, SettingsError

from tests.harness.tls import issue

DATABASE = "postgresql://u:p%40@db:5432/m"


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "a &=b.crt"
    path.write_text("PEM")
    return str(path)


def test_urls_without_an_authority_stay_as_they_are() -> None:
    settings = Settings(database_url=f"{DATABASE}?sslmode=require", redis_url="redis://r/0")
    assert database_url(settings) == settings.database_url
    assert redis_url(settings) == settings.redis_url


@pytest.mark.parametrize(
    ("query", "mode"),
    [("", "verify-full"), ("?application_name=x", "verify-full"), ("?sslmode=verify-ca", "verify-ca")],
)
def test_the_authority_of_the_database(file: str, query: str, mode: str) -> None:
    url = database_url(Settings(database_url=DATABASE + query, database_ca=file))
    assert url.startswith(f"{DATABASE}?")
    held = parse_qs(urlsplit(url).query)
    assert (held["sslrootcert"], held["sslmode"]) == ([file], [mode])
    assert ("application_name" in held) is ("application_name" in query)


def test_a_file_in_the_url_takes_precedence(file: str) -> None:
    settings = Settings(database_url=f"{DATABASE}?sslrootcert=/mine", database_ca=file)
    assert parse_qs(urlsplit(database_url(settings)).query)["sslrootcert"] == ["/mine"]


@pytest.mark.parametrize("url", ["rediss://:p@r:6380/0", "rediss+sentinel://s:26379/mymaster/0"])
def test_the_authority_of_redis(file: str, url: str) -> None:
    held = urlsplit(redis_url(Settings(redis_url=url, redis_ca=file)))
    assert parse_qs(held.query) == {"ssl_ca_certs": [file]}
    assert held.geturl().startswith(url)


def test_sentinels_are_trusted_by_the_same_authority(tmp_path: Path) -> None:
    file = str(issue(tmp_path))
    address = address_of(redis_url(Settings(redis_url="rediss+sentinel://s:26379/mymaster/0", redis_ca=file)))
    assert address.given["ssl_ca_certs"] == address.sentinel_given["ssl_ca_certs"] == file


def test_an_authority_does_not_turn_on_tls(file: str) -> None:
    with pytest.raises(SettingsError, match=r"REDIS_CA is given, but REDIS_URL begins with redis://, without TLS"):
        redis_url(Settings(redis_url="redis://r/0", redis_ca=file))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SettingsError, match=r"DATABASE_CA names no readable file"):
        database_url(Settings(database_url=DATABASE, database_ca="/no/ca"))
    with pytest.raises(SettingsError, match=r"REDIS_CA names no readable file"):
        redis_url(Settings(redis_url="rediss://r/0", redis_ca="/no/ca"))
