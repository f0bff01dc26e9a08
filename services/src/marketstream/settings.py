"""The settings of every service, read from the environment in one place.

The operator and the tests write the same environment with `to_environment`. A setting's name in the environment is
its field's name in capitals.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit


class SettingsError(ValueError):
    """A setting is missing or invalid. The message names the variable and says what was expected.

    `variable` is the variable at fault: the given one, or the first word of the message if that is in capitals. It is
    empty if no variable is at fault.
    """

    def __init__(self, message: str, variable: str = "") -> None:
        super().__init__(message)
        first = re.match(r"[A-Z][A-Z0-9_]+\b", message)
        self.variable = variable or (first[0] if first else "")


def setting(default: Any, help_: str, **checks: Any) -> Any:
    """Declare a field of a settings class.

    `checks` may give the `least` number, the `choices`, the schemes of a `url`, `path=True` for a path, `secret=True`
    to keep the value out of logs, and `quoted=False` to keep a wrong value out of errors: a Secret may hold it.
    """
    return field(default=default, metadata={"help": help_, **checks})


class Environment:
    """Base class of frozen dataclasses whose fields, declared by `setting`, are read from the environment."""

    __slots__ = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, **given: Any) -> Self:
        """Read the settings from `environment`, except for the `given` ones. Raise SettingsError if one is invalid."""
        read = {
            f.name: _read(f.name, f.type, f.metadata, environment[f.name.upper()])
            for f in _fields(cls)
            if f.name not in given and environment.get(f.name.upper(), "") != ""
        }
        return cls(**read, **given)

    def to_environment(self) -> dict[str, str]:
        """Return an environment from which these settings can be read again. Default values are left out."""
        return {f.name.upper(): _text(value) for f in _fields(self) if (value := getattr(self, f.name)) != f.default}

    def require(self, *names: str) -> None:
        """Raise SettingsError, naming all empty fields, if any of these fields is empty."""
        missing = [f for f in _fields(self) if f.name in names and not getattr(self, f.name)]
        if missing:
            wanted = "; ".join(f"{f.name.upper()} ({f.metadata['help']})" for f in missing)
            raise SettingsError(f"missing environment variables: {wanted}", missing[0].name.upper())

    def but(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[type-var]

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{f.name}={'***' if f.metadata.get('secret') else repr(value)}"
            for f in _fields(self)
            if (value := getattr(self, f.name)) != f.default
        )
        return f"{type(self).__name__}({shown})"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _fields(settings: Any) -> "tuple[Field[Any], ...]":
    return fields(settings)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings(Environment):
    """The settings of the services: producer, processor and API. Empty text means that a setting is not given."""

    kafka_bootstrap: str = setting("", "host:port of Kafka's brokers, separated by commas", quoted=False)
    kafka_security_protocol: str = setting(
        "PLAINTEXT",
        "protocol of the connections to Kafka",
        choices=("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
        quoted=False,
    )
    kafka_sasl_mechanism: str = setting(
        "SCRAM-SHA-512",
        "SASL mechanism for logging in to Kafka",
        choices=("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
        quoted=False,
    )
    kafka_sasl_username: str = setting("", "Kafka user", quoted=False)
    kafka_sasl_password: str = setting("", "password of the Kafka user", secret=True, quoted=False)
    kafka_ca_file: str = setting(
        "", "PEM file of the certificate authority that signed the brokers' certificates", quoted=False
    )
    kafka_session_timeout_ms: int = setting(
        10_000, "ms without a heartbeat after which Kafka replaces a consumer", least=500, quoted=False
    )
    database_url: str = setting(
        "", "postgresql://user:password@host:port/database", secret=True, url=("postgresql", "postgres"), quoted=False
    )
    redis_url: str = setting(
        "",
        "redis://host:port/0",
        secret=True,
        url=("redis", "rediss", "redis+sentinel", "rediss+sentinel"),
        quoted=False,
    )
    database_ca: str = setting(
        "", "PEM file of the certificate authority that signed PostgreSQL's certificate", quoted=False
    )
    redis_ca: str = setting("", "PEM file of the certificate authority that signed Redis's certificate", quoted=False)
    exchange: str = setting("", "name of the exchange: binance, simulator or replay")
    symbols: tuple[str, ...] = setting((), "symbols, separated by commas: BTCUSDT,ETHUSDT")
    exchange_ws_url: str = setting("", "scheme, host and port that replace the exchange's WebSocket address")
    exchange_rest_url: str = setting("", "scheme, host and port that replace the exchange's REST address")
    default_exchange: str = setting("binance", "exchange that is used if a query names none")
    topic_prefix: str = setting("trades", "first part of every topic's name")
    topic_retention_ms: int = setting(
        24 * 3600 * 1000, "ms for which a topic that a service creates keeps trades", least=60_000
    )
    topic_replication: int = setting(
        -1, "replicas of a topic that a service creates, -1 for the broker's default", least=-1
    )
    topic_create: bool = setting(True, "create missing topics; if false, wait until they exist")
    consumer_group: str = setting("marketstream", "Kafka consumer group of the processors")
    pack_ms: int = setting(10, "ms for which trades are collected into one record", least=0, quoted=False)
    heartbeat_ms: int = setting(1_000, "ms between the heartbeats of a symbol", least=10, quoted=False)
    grace_ms: int = setting(
        1_000, "ms of exchange time for which a window waits for late trades", least=0, quoted=False
    )
    max_id_jump: int = setting(
        1_000_000,
        "missing trade ids in a row from which on the exchange is asked for its newest id before they are backfilled",
        least=1,
        quoted=False,
    )
    max_holes: int = setting(
        1_000, "maximum number of holes of a symbol; beyond it, the oldest is given up", least=1, quoted=False
    )
    max_age_s: int = setting(
        60,
        "seconds without a sign of life from a symbol's feed after which the symbol is stale. After half of that "
        "without a trade, at most two minutes, the exchange is asked whether the market is quiet",
        least=30,  # an answer is valid up to ten seconds before it, and the next one comes half of this setting later
    )
    start_limit_s: int = setting(
        60,
        "seconds for which a service waits at its start for Kafka, a usable topic and PostgreSQL before it fails",
        least=1,
    )
    publish_ms: int = setting(
        20, "ms for which live state is collected before it is written to Redis", least=1, quoted=False
    )
    recording: str = setting("", "file for the exchange `replay` to read")
    replay_speed: str = setting("1", "speed of `replay`: a multiple of the recorded speed, or max")
    simulator_seed: int = setting(
        1, "seed of the simulator, whose trades depend only on this seed and the time", least=0, quoted=False
    )
    http_host: str = setting("0.0.0.0", "address on which HTTP is served")  # noqa: S104 - a container serves its pod
    http_port: int = setting(8000, "port on which HTTP is served", least=0)
    root_path: str = setting(
        "", "path under which a proxy serves the API, such as /ms. If empty, X-Forwarded-Prefix is read", path=True
    )
    log_level: str = setting("info", "minimum level of log lines", choices=("debug", "info", "warning", "error"))
    log_format: str = setting("console", "format of log lines", choices=("console", "json"))


_BOUNDLESS: Final = 2**63

_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._~-]+)*/?")


def _read(name: str, kind: Any, checks: Mapping[str, Any], text: str) -> Any:
    variable = name.upper()

    def wrong(expected: str) -> SettingsError:
        shown = text if text.lstrip("-").isdigit() else repr(text)
        given = f"is {shown}" if checks.get("quoted", True) else "is not valid"
        return SettingsError(f"{variable} {given}: expected {expected}")

    if kind is bool:
        if text not in ("true", "false"):
            raise wrong(f"true or false ({checks['help']})")
        return text == "true"
    if kind is int:
        least = checks.get("least", -_BOUNDLESS)
        try:
            number = int(text)
        except ValueError:
            raise wrong(f"a whole number ({checks['help']})") from None
        if not least <= number < _BOUNDLESS:
            raise wrong(f"at least {least} ({checks['help']})")
        return number
    if kind == tuple[str, ...]:
        return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    choices = checks.get("choices")
    if choices and text not in choices:
        raise wrong(f"one of {', '.join(choices)}")
    if "path" in checks and not is_root_path(text):
        raise wrong("a path that begins with / and consists of letters, digits and . _ ~ - /")
    if "url" in checks:
        _check_url(variable, text, checks["url"], checks["help"])
    return text


def is_root_path(text: str) -> bool:
    """Return True for a path such as /ms: safe characters only, none of its parts empty, `.` or `..`."""
    return _PATH.fullmatch(text) is not None


def _check_url(variable: str, text: str, schemes: tuple[str, ...], help_: str) -> None:
    """Raise SettingsError if the URL cannot be parsed or has a wrong scheme.

    The message contains no part of the URL: when parsing fails, any part may be a piece of the password.
    """
    scheme = text.partition("://")[0].lower()
    if scheme not in schemes:
        raise SettingsError(
            f"{variable} does not begin with {' or '.join(f'{s}://' for s in schemes)}: expected {help_}"
        )
    try:
        is_whole = _is_whole(text, may_name_more=scheme.startswith("postgres") or scheme.endswith("+sentinel"))
    except ValueError:
        is_whole = False
    if not is_whole:
        raise SettingsError(
            f"{variable} cannot be parsed: expected {help_}. Special characters in a user name or password, such as "
            "# / ? [ ] @ %, must be percent-encoded (# is %23)"
        )


def _is_whole(url: str, *, may_name_more: bool) -> bool:
    """Return True if the URL has a host, and nothing after the host looks like the rest of a password.

    Raise ValueError for an invalid port and similar errors. With `may_name_more`, the URL can have several hosts, or a
    socket's directory in its query.
    """
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2]
    each = [urlsplit(f"//{host}") for host in (hosts.split(",") if may_name_more else [hosts])]
    _ = [host.port for host in each]
    query = parse_qs(parts.query, strict_parsing=bool(parts.query))
    has_host = all(host.hostname for host in each) or (may_name_more and "host" in query)
    return has_host and "#" not in url and "@" not in parts.path
