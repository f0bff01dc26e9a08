"""DATABASE_URL as hosting providers hand it out, adapted to asyncpg, which knows fewer parameters than libpq.

The PostgreSQL documentation lists libpq's parameters in the section "Parameter Key Words". Each parameter is honoured,
or ignored if nothing here depends on it. A parameter that libpq does not know either is refused by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext, TLSVersion, VerifyFlags, create_default_context
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
"""Parameters that asyncpg interprets like libpq."""

TO_SERVER: Final = frozenset({"application_name", "options"})
"""Parameters that are sent to the server at the start of a session."""

IGNORED: Final = frozenset({
    "client_encoding", "fallback_application_name", "gssdelegation", "gssencmode", "hostaddr", "keepalives",
    "keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts", "max_protocol_version",
    "min_protocol_version", "sslcompression", "sslkeylogfile", "sslsni", "tcp_user_timeout",
})  # fmt: skip
"""Parameters of libpq that affect nothing this client relies on."""

_DEMANDS: Final = {
    "gssencmode": frozenset({"require"}),
    "oauth_client_id": None,
    "oauth_client_secret": None,
    "oauth_issuer": None,
    "oauth_scope": None,
    "replication": frozenset({"true", "on", "yes", "1", "database"}),
    "require_auth": None,
    "requirepeer": None,
    "scram_client_key": None,
    "scram_server_key": None,
    "sslcertmode": frozenset({"require"}),
    "sslcrldir": None,
}
"""Parameters of libpq that demand something this client cannot do, by value; None for any value."""

_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SESSIONS: Final = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")

_TLS: Final = {
    "TLSv1": TLSVersion.TLSv1, "TLSv1.1": TLSVersion.TLSv1_1, "TLSv1.2": TLSVersion.TLSv1_2,
    "TLSv1.3": TLSVersion.TLSv1_3,
}  # fmt: skip

_IN_CONTEXT: Final = (
    *_FILES, "sslmode", "sslpassword", "ssl_min_protocol_version", "ssl_max_protocol_version",
)  # fmt: skip
"""Parameters that asyncpg does not read if it is given a context of TLS."""

_ADVICE: Final = {
    "schema": "to select a schema, use options=-csearch_path%3DNAME",
    "pgbouncer": "poolers are detected without it",
}


@dataclass(frozen=True, slots=True)
class Address:
    """A database to connect to. `url` names the server; `connect_s` limits one attempt to connect (seconds).

    `server_settings` are the parameters of the URL for the start of a session. `ssl` replaces `sslmode` where asyncpg
    does not support the requested mode.
    """

    url: str
    connect_s: float
    server_settings: Mapping[str, str] = field(default_factory=dict)
    ssl: SSLContext | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the arguments for asyncpg.connect."""
        given: dict[str, Any] = {"dsn": self.url, "timeout": self.connect_s}
        return given | ({"ssl": self.ssl} if self.ssl is not None else {})


def address_of(database_url: str, connect_s: float) -> Address:
    """Return the address that DATABASE_URL describes; `connect_s` (seconds) applies unless the URL says otherwise.

    Raises SettingsError for a parameter or a value that libpq does not know, and for a parameter that demands
    something this client cannot do. The message names the parameter and never shows the URL.
    """
    parts = urlsplit(database_url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    _check(query)
    connect_s = _seconds(query.pop("connect_timeout", ""), connect_s)
    to_server = {name: query.pop(name) for name in TO_SERVER & query.keys()}
    context = None
    if query.get("sslrootcert") == "system":
        context = _trusting_system(query)
        for name in _IN_CONTEXT:
            query.pop(name, None)
    else:
        # asyncpg loads the files itself, but an error of a file would look like an outage. It also knows other keys.
        _load(SSLContext(PROTOCOL_TLS_CLIENT), query if query.get("sslkey") else {**query, "sslcert": ""})
    if query.pop("channel_binding", "") == "require":
        log.warning("channel binding required by DATABASE_URL is not supported, connecting without it")
    if "hostaddr" in query and not parts.hostname and not query.get("host"):
        query["host"] = query["hostaddr"]
    kept = {name: value for name, value in query.items() if name in HONOURED}
    url = urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(kept), ""))
    return Address(url, connect_s, to_server, context)


def _trusting_system(query: Mapping[str, str]) -> SSLContext:
    """Return what asyncpg does not know: TLS that trusts the authorities of the system, with the rest of the query.

    libpq accepts only sslmode=verify-full with them, which is what the context does.
    """
    context = create_default_context()
    context.set_alpn_protocols(["postgresql"])  # sslnegotiation=direct demands it
    context.minimum_version = _version(query, "ssl_min_protocol_version", TLSVersion.TLSv1_2)
    context.maximum_version = _version(query, "ssl_max_protocol_version", TLSVersion.MAXIMUM_SUPPORTED)
    _load(context, query)
    return context


def _load(context: SSLContext, query: Mapping[str, str]) -> None:
    """Load the files into the context. Raises SettingsError for one that cannot be used."""
    password = query.get("sslpassword", "")  # without one, OpenSSL would ask for it on the terminal
    name = "sslcert"
    try:
        if query.get(name):
            context.load_cert_chain(query[name], query.get("sslkey") or None, lambda: password)
        for name in ("sslrootcert", "sslcrl"):
            if query.get(name, "system") not in ("", "system"):
                context.load_verify_locations(query[name])
    except OSError as error:
        why = type(error).__name__  # its text may show the path
        raise SettingsError(f"DATABASE_URL has {name}, whose file cannot be used ({why}): expected PEM") from None
    if query.get("sslcrl"):
        context.verify_flags |= VerifyFlags.VERIFY_CRL_CHECK_CHAIN


def _version(query: Mapping[str, str], name: str, default: TLSVersion) -> TLSVersion:
    return _TLS[query[name]] if query.get(name) else default


def _check(query: Mapping[str, str]) -> None:
    for name, value in query.items():
        if name in _DEMANDS:
            values = _DEMANDS[name]
            if values is None or value in values:
                raise _refusal(name, "which this client does not support: remove it")
        elif name not in HONOURED | TO_SERVER | IGNORED | {"channel_binding", "connect_timeout"}:
            advice = _ADVICE.get(name, "expected parameters of libpq, such as sslmode or connect_timeout")
            raise _refusal(name, f"which PostgreSQL's own clients do not know either: remove it ({advice})")
    _check_choice(query, "sslmode", _SSL_MODES)
    _check_choice(query, "target_session_attrs", _SESSIONS)
    _check_choice(query, "sslnegotiation", ("postgres", "direct"))
    _check_choice(query, "ssl_min_protocol_version", ("", *_TLS))
    _check_choice(query, "ssl_max_protocol_version", ("", *_TLS))
    _check_choice(query, "channel_binding", ("disable", "prefer", "require"))
    for name in _FILES:
        file = query.get(name, "")
        if file and not (name == "sslrootcert" and file == "system") and not Path(file).is_file():
            raise SettingsError(f"DATABASE_URL has {name} without a readable file: expected its path")
    if query.get("sslrootcert") == "system" and query.get("sslmode", "verify-full") != "verify-full":
        raise SettingsError("DATABASE_URL has sslrootcert=system: expected sslmode=verify-full with it")


def _check_choice(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> None:
    if query.get(name, choices[0]) not in choices:
        expected = ", ".join(filter(None, choices))
        raise SettingsError(f"DATABASE_URL has {name} with an unknown value: expected one of {expected}")


def _refusal(name: str, why: str) -> SettingsError:
    return SettingsError(f"DATABASE_URL has the parameter {name}, {why}")


def _seconds(text: str, default: float) -> float:
    """Return libpq's connect_timeout in seconds: 1 counts as 2; empty, zero and negative values as `default`."""
    try:
        seconds = int(text or 0)
    except ValueError:
        raise SettingsError("DATABASE_URL has connect_timeout with an unknown value: expected whole seconds") from None
    return float(max(seconds, 2)) if seconds > 0 else default
