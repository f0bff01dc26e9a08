"""Addresses of a user's own servers, made safe to print."""

from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

_HIDDEN: Final = "***"


def without_secrets(url: str) -> str:
    """Return the URL with every password replaced by asterisks, including passwords in the query."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    query = [
        (name, _HIDDEN if "password" in name else value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    netloc = f"{user}{colon}{_HIDDEN * bool(colon)}{at}{hosts}"
    return parts._replace(netloc=netloc, query=urlencode(query, safe="*/:")).geturl()
