"""Addresses of a user's own servers, as they may be printed."""

from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

_HIDDEN: Final = "***"


def without_secrets(url: str) -> str:
    """Return the URL with every password in it replaced by asterisks, also those of its query."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    query = [
        (name, _HIDDEN if "password" in name else value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    netloc = f"{user}{colon}{_HIDDEN * bool(colon)}{at}{hosts}"
    return parts._replace(netloc=netloc, query=urlencode(query, safe="*/:")).geturl()
