"""The settings and the environment they are read from."""

from dataclasses import fields
from traceback import format_exception
from typing import Any

import pytest
from marketstream.settings import Settings, SettingsError

from tests.harness.needs import PROJECT

PAGE = PROJECT / "docs/reference/settings.md"


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environment({}) == Settings()
    assert Settings.from_environment({"KAFKA_BOOTSTRAP": "", "HTTP_PORT": ""}) == Settings()


def test_every_setting_explains_itself() -> None:
    assert all(field.metadata["help"] for field in fields(Settings))


def test_the_table_of_the_docs_is_what_the_settings_say() -> None:
    rows = [
        f"| `{field.name.upper()}` | {f'`{default}`' if default else ''} | {field.metadata['help']}{choices} |"
        for field in fields(Settings)
        for default in [str(field.default).lower() if isinstance(field.default, bool) else field.default]
        for choices in [f" ({', '.join(field.metadata['choices'])})" if "choices" in field.metadata else ""]
    ]
    table = PAGE.read_text()
    assert [line for line in table.splitlines() if line.startswith("| `")] == rows


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("KAFKA_BOOTSTRAP", "one:9092,two:9092", "kafka_bootstrap", "one:9092,two:9092"),
        ("SYMBOLS", " BTCUSDT, ETHUSDT,,BTCUSDT", "symbols", ("BTCUSDT", "ETHUSDT")),
        ("HTTP_PORT", "0", "http_port", 0),
        ("DATABASE_URL", "postgresql://u:p@h/d", "database_url", "postgresql://u:p@h/d"),
        ("DATABASE_URL", "postgres://u:p@a:1,b:2/d", "database_url", "postgres://u:p@a:1,b:2/d"),
        ("DATABASE_URL", "postgresql:///d?host=/run/pg", "database_url", "postgresql:///d?host=/run/pg"),
        ("DATABASE_URL", "postgresql://u:%23@[::1]:5/d?a=b@c", "database_url", "postgresql://u:%23@[::1]:5/d?a=b@c"),
        ("REDIS_URL", "rediss://h:6379/1", "redis_url", "rediss://h:6379/1"),
        ("REDIS_URL", "redis://:p%2F@h", "redis_url", "redis://:p%2F@h"),
        ("TOPIC_REPLICATION", "-1", "topic_replication", -1),
        ("ROOT_PATH", "/ms", "root_path", "/ms"),
        ("ROOT_PATH", "/a/b.c/", "root_path", "/a/b.c/"),
    ],
)
def test_a_variable_is_read(variable: str, text: str, field: str, value: Any) -> None:
    assert getattr(Settings.from_environment({variable: text}), field) == value


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("HTTP_PORT", "http", r"HTTP_PORT is 'http': expected a whole number \(port on which HTTP is served\)"),
        ("HTTP_PORT", "-1", "HTTP_PORT is -1: expected at least 0"),
        ("PACK_MS", "1.5", "PACK_MS is not valid: expected a whole number"),
        ("KAFKA_SECURITY_PROTOCOL", "secret", "KAFKA_SECURITY_PROTOCOL is not valid: expected one of PLAINTEXT, SSL"),
        ("SIMULATOR_SEED", "secret", "SIMULATOR_SEED is not valid: expected a whole number"),
        ("GRACE_MS", "-1", "GRACE_MS is not valid: expected at least 0"),
        ("MAX_AGE_S", "29", "MAX_AGE_S is 29: expected at least 30"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL is 'loud': expected one of debug, info, warning, error"),
        (
            "ROOT_PATH",
            "ms",
            "ROOT_PATH is 'ms': expected a path that begins with / and consists of letters, digits and",
        ),
        ("ROOT_PATH", "//example.org", "ROOT_PATH is '//example.org': expected a path"),
        ("ROOT_PATH", "/ms/..", "ROOT_PATH is '/ms/..': expected a path"),
        ("DATABASE_URL", "mysql://u:secret@h/d", "DATABASE_URL does not begin with postgresql://"),
        ("DATABASE_URL", "postgresqlx://u:secret@h/d", "DATABASE_URL does not begin with postgresql:// or postgres://"),
        ("REDIS_URL", "localhost:6379", "REDIS_URL does not begin with redis://"),
        ("REDIS_URL", "redis-socket://secret@h", "REDIS_URL does not begin with redis:// or rediss://"),
    ],
)
def test_what_makes_no_sense_is_refused(variable: str, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        Settings.from_environment({variable: text})
    assert "secret" not in str(caught.value)
    assert caught.value.variable == variable


@pytest.mark.parametrize("scheme", ["redis", "rediss", "postgresql", "postgres"])
@pytest.mark.parametrize(
    "rest",
    [
        ":pass#secret@h", "u:pass/secret@h/0", "u:12/secret@h/0", "u:12#secret@h", "u:12?secret@h", "u:p[secret@h",
        "[secret", "u:secret@", "u:secret@h:port", "u:secret@h:65536", "", "/0",
    ],
)  # fmt: skip
def test_a_url_that_a_password_has_broken_is_refused_without_a_word_of_it(scheme: str, rest: str) -> None:
    variable = "REDIS_URL" if scheme.startswith("redis") else "DATABASE_URL"
    with pytest.raises(SettingsError, match=rf"{variable} cannot be parsed: .* must be percent-encoded") as caught:
        Settings.from_environment({variable: f"{scheme}://{rest}"})
    assert "secret" not in "".join(format_exception(caught.value))


def test_what_is_given_wins_over_the_environment() -> None:
    assert Settings.from_environment({"HTTP_PORT": "nonsense"}, http_port=1).http_port == 1


def test_settings_survive_the_environment() -> None:
    settings = Settings(symbols=("BTCUSDT", "ETHUSDT"), http_port=0, log_format="json", topic_replication=3)
    assert Settings.from_environment(settings.to_environment()) == settings
    assert Settings().to_environment() == {}


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError, match=r"DATABASE_URL .*; REDIS_URL ") as caught:
        Settings(kafka_bootstrap="here:9092").require("kafka_bootstrap", "database_url", "redis_url")
    assert "KAFKA_BOOTSTRAP" not in str(caught.value)
    assert caught.value.variable == "DATABASE_URL"


def test_secrets_are_not_shown() -> None:
    shown = repr(Settings(database_url="postgresql://u:secret@h/d", kafka_sasl_password="secret", http_port=1))  # noqa: S106
    assert "secret" not in shown
    assert "http_port=1" in shown


@pytest.mark.parametrize(
    ("error", "variable"),
    [
        (SettingsError("DATABASE_URL has the parameter schema"), "DATABASE_URL"),
        (SettingsError("the symbols A and B would share a topic", "SYMBOLS"), "SYMBOLS"),
        (SettingsError("a recording has the trades of one symbol"), ""),
    ],
)
def test_an_error_knows_the_variable_that_its_message_begins_with(error: SettingsError, variable: str) -> None:
    assert error.variable == variable


def test_a_copy_with_changes() -> None:
    assert Settings(http_port=1).but(exchange="replay") == Settings(http_port=1, exchange="replay")
