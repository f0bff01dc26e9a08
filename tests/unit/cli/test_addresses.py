"""The addresses of the servers, from the environment or from a local run."""

from pathlib import Path

import pytest
from marketstream.cli.addresses import AddressesError, find_settings
from marketstream.settings import SettingsError

ENDPOINTS = '{"kafka_bootstrap": "127.0.0.1:1", "database_url": "postgresql://h/d", "redis_url": "redis://h/0"}'


def write(directory: Path, content: str) -> None:
    directory.mkdir()
    (directory / "endpoints.json").write_text(content, encoding="utf-8")


def test_the_environment_comes_first(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(elsewhere / ".marketstream", ENDPOINTS)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "given:9092")
    assert find_settings("kafka_bootstrap", None).kafka_bootstrap == "given:9092"


def test_the_default_data_directory_comes_second(elsewhere: Path) -> None:
    write(elsewhere / ".marketstream", ENDPOINTS)
    assert find_settings("kafka_bootstrap", None).kafka_bootstrap == "127.0.0.1:1"


def test_an_explicit_data_directory_overrides_the_environment(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(elsewhere / "data", ENDPOINTS)
    monkeypatch.setenv("DATABASE_URL", "postgresql://given/d")
    assert find_settings("database_url", Path("data")).database_url == "postgresql://h/d"


def test_without_any_address_the_error_says_what_to_do() -> None:
    with pytest.raises(SettingsError, match=r"REDIS_URL is not set.*start a run with `make run`"):
        find_settings("redis_url", None)


def test_a_data_directory_without_a_run_is_an_error() -> None:
    with pytest.raises(AddressesError, match=r"nowhere/endpoints\.json does not exist"):
        find_settings("redis_url", Path("nowhere"))


@pytest.mark.parametrize("content", ["{", "{}", '{"kafka_bootstrap": 5}'])
def test_a_file_that_is_not_from_a_local_run_is_an_error(elsewhere: Path, content: str) -> None:
    write(elsewhere / ".marketstream", content)
    with pytest.raises(AddressesError, match=r"\.marketstream/endpoints\.json was not written by a local run"):
        find_settings("redis_url", None)
