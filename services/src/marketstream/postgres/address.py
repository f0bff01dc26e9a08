"""DATABASE_URL as hosts hand it out: the parameters of its query, for a client that knows fewer of them than libpq.

libpq's parameters are listed in the PostgreSQL documentation, section "Parameter Key Words". Each of them is honoured,
or passed over where nothing depends on it; a parameter that libpq does not know either is refused by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext, create_default_context
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from marketstream.settings import SettingsError
from marketstream.telemetry import logger

log = logger(__name__)

HONOURED: Final = frozenset({
    "dbname", "host", "krbsrvname", "gsslib", "passfile", "password", "port", "service", "ssl_max_protocol_version",
    "ssl_min_protocol_version", "sslcert", "sslcrl", "sslkey", "sslmode", "sslnegotiation", "sslpassword",
    "sslrootcert", "target_session_attrs", "user",
})  # fmt: skip
"""Parameters that asyncpg understands as libpq does."""

TO_SERVER: Final = frozenset({"application_name", "options"})
"""Parameters that go to the server with the start of a session."""

PASSED_OVER: Final = frozenset({
    "client_encoding", "fallback_application_name", "gssdelegation", "gssencmode", "hostaddr", "keepalives",
    "keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts", "max_protocol_version",
    "min_protocol_version", "sslcertmode", "sslcompression", "sslcrldir", "sslkeylogfile", "sslsni", "tcp_user_timeout",
})  # fmt: skip
"""Parameters of libpq that change nothing that this client relies on."""

_DEMANDS: Final = {
    "gssencmode": frozenset({"require"}),
    "replication": frozenset({"true", "on", "yes", "1", "database"}),
    "require_auth": None,
    "requirepeer": None,
}
"""Parameters of libpq that demand what this client cannot do, with the values that do; None: every value."""

_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SESSIONS: Final = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")

_ADVICE: Final = {
    "schema": "to choose the schema, write options=-csearch_path%3DNAME",
    "pgbouncer": "poolers are recognised without it",
}


@dataclass(frozen=True, slots=True)
class Address:
    """A database to connect to. `url` names the server and how to reach it, `connect_s` limits an attempt (seconds).

    `server_settings` are what the URL wants a session to begin with; `ssl` replaces `sslmode` where asyncpg does not
    know its meaning.
    """

    url: str
    connect_s: float
    server_settings: Mapping[str, str] = field(default_factory=dict)
    ssl: SSLContext | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the arguments by which asyncpg connects."""
        given: dict[str, Any] = {"dsn": self.url, "timeout": self.connect_s}
        return given | ({"ssl": self.ssl} if self.ssl is not None else {})


def address_of(database_url: str, connect_s: float) -> Address:
    """Return the address that DATABASE_URL describes; `connect_s` (seconds) applies unless the URL says otherwise.

    Raises SettingsError, which names the parameter and never shows the URL, for a parameter that libpq does not know,
    one whose value it does not know, and one that demands what this client cannot do.
    """
    parts = urlsplit(database_url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    _check(query)
    connect_s = _seconds(query.pop("connect_timeout", ""), connect_s)
    to_server = {name: query.pop(name) for name in TO_SERVER & query.keys()}
    context = None
    if query.get("sslrootcert") == "system":
        context = create_default_context()
        del query["sslrootcert"]
        query.pop("sslmode", None)  # libpq takes only verify-full beside it, and that is what the context does
    if query.pop("channel_binding", "") == "require":
        log.warning("DATABASE_URL requires channel binding, which this client does not do: connecting without it")
    if "hostaddr" in query and not parts.hostname and not query.get("host"):
        query["host"] = query["hostaddr"]
    kept = {name: value for name, value in query.items() if name in HONOURED}
    url = urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(kept), ""))
    return Address(url, connect_s, to_server, context)


def _check(query: Mapping[str, str]) -> None:
    for name, value in query.items():
        if name in _DEMANDS:
            values = _DEMANDS[name]
            if values is None or value in values:
                raise _refusal(name, "which this client cannot do: remove it, or choose another server for it")
        elif name not in HONOURED | TO_SERVER | PASSED_OVER | {"channel_binding", "connect_timeout"}:
            advice = _ADVICE.get(name, "expected parameters of libpq, such as sslmode or connect_timeout")
            raise _refusal(name, f"which PostgreSQL's own clients do not know: remove it ({advice})")
    _check_choice(query, "sslmode", _SSL_MODES)
    _check_choice(query, "target_session_attrs", _SESSIONS)
    _check_choice(query, "sslnegotiation", ("postgres", "direct"))
    _check_choice(query, "channel_binding", ("disable", "prefer", "require"))
    for name in _FILES:
        file = query.get(name, "")
        if file and not (name == "sslrootcert" and file == "system") and not Path(file).is_file():
            raise SettingsError(f"DATABASE_URL has {name}={file}: expected a file that can be read here")
    if query.get("sslrootcert") == "system" and query.get("sslmode", "verify-full") != "verify-full":
        raise SettingsError("DATABASE_URL has sslrootcert=system: expected sslmode=verify-full beside it")


def _check_choice(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> None:
    if query.get(name, choices[0]) not in choices:
        raise SettingsError(f"DATABASE_URL has {name}={query[name]}: expected one of {', '.join(choices)}")


def _refusal(name: str, why: str) -> SettingsError:
    return SettingsError(f"DATABASE_URL has the parameter {name}, {why}")


def _seconds(text: str, default: float) -> float:
    """Return libpq's connect_timeout: whole seconds, of which 1 means 2; none, zero or less mean `default` here."""
    try:
        seconds = int(text or 0)
    except ValueError:
        raise SettingsError(f"DATABASE_URL has connect_timeout={text}: expected whole seconds") from None
    return float(max(seconds, 2)) if seconds > 0 else default
