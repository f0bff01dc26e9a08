"""Certificate authorities of PostgreSQL and Redis: DATABASE_CA and REDIS_CA as parameters of the URLs.

In a pod, both are files that are mounted from a Secret, whose path the URL cannot know.
"""

from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from marketstream.settings import Settings, SettingsError

ENCRYPTED: Final = ("rediss", "rediss+sentinel")


def database_url(settings: Settings) -> str:
    """Return DATABASE_URL with the authority of DATABASE_CA, and with sslmode=verify-full if it names no mode.

    A `sslrootcert` in the URL takes precedence. Raises SettingsError when the file is missing.
    """
    if not settings.database_ca:
        return settings.database_url
    file = _existing("DATABASE_CA", settings.database_ca)
    return _with(settings.database_url, {"sslmode": "verify-full", "sslrootcert": file})


def redis_url(settings: Settings) -> str:
    """Return REDIS_URL with the authority of REDIS_CA.

    A `ssl_ca_certs` in the URL takes precedence. Raises SettingsError when the file is missing, or when REDIS_URL does
    not ask for TLS, which REDIS_CA alone does not turn on.
    """
    if not settings.redis_ca:
        return settings.redis_url
    file = _existing("REDIS_CA", settings.redis_ca)
    scheme = urlsplit(settings.redis_url).scheme
    if scheme not in ENCRYPTED:
        raise SettingsError(
            f"REDIS_CA is given, but REDIS_URL begins with {scheme}://, without TLS: expected rediss://"
        )
    return _with(settings.redis_url, {"ssl_ca_certs": file})


def _existing(variable: str, file: str) -> str:
    if not Path(file).is_file():
        raise SettingsError(f"{variable} names no readable file: expected the path of a PEM file")
    return file


def _with(url: str, defaults: dict[str, str]) -> str:
    """Return the URL with these parameters, except for those that it has."""
    parts = urlsplit(url)
    held = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    added = urlencode({name: value for name, value in defaults.items() if name not in held})
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, added)))))
