"""Addresses are printed without passwords."""

import pytest
from marketstream.local.secrets import without_secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:p%40ss@db:5432/market", "postgresql://user:***@db:5432/market"),
        (
            "postgresql://user@db/market?password=secret&sslmode=require",
            "postgresql://user@db/market?password=***&sslmode=require",
        ),
        ("postgresql://u:p@one:1,two:2/m", "postgresql://u:***@one:1,two:2/m"),
        ("redis://:secret@cache:6379/0", "redis://:***@cache:6379/0"),
        (
            "rediss+sentinel://u:a@h1,h2/name/0?sentinel_password=b",
            "rediss+sentinel://u:***@h1,h2/name/0?sentinel_password=***",
        ),
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
    ],
)
def test_passwords_are_hidden(url: str, shown: str) -> None:
    assert without_secrets(url) == shown
