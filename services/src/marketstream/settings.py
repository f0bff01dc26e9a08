"""The settings of every service, read from the environment in one place.

The operator and the tests write the same environment with `to_environment`. A setting's name in the environment is
its field's name in capitals.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Self
from urllib.parse import urlsplit


class SettingsError(ValueError):
    """A setting that is missing or makes no sense. The message names the variable and says what was expected."""


def _setting(default: Any, help_: str, **checks: Any) -> Any:
    return field(default=default, metadata={"help": help_, **checks})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a container of any of the services takes. Empty text means: not given."""

    kafka_bootstrap: str = _setting("", "host:port of Kafka's brokers, separated by commas")
    kafka_security_protocol: str = _setting(
        "PLAINTEXT", "how to speak to Kafka", choices=("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
    )
    kafka_sasl_mechanism: str = _setting(
        "SCRAM-SHA-512", "how to log in to Kafka", choices=("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
    )
    kafka_sasl_username: str = _setting("", "Kafka user")
    kafka_sasl_password: str = _setting("", "password of the Kafka user", secret=True)
    kafka_ca_file: str = _setting("", "PEM file of the authority that signed the brokers' certificates")
    kafka_session_timeout_ms: int = _setting(10_000, "ms without a sign after which a consumer is replaced", least=500)
    database_url: str = _setting("", "postgresql://user:password@host:port/database", secret=True, url="postgresql")
    redis_url: str = _setting("", "redis://host:port/0", secret=True, url="redis")
    exchange: str = _setting("", "name of the exchange: binance, simulator or replay")
    symbols: tuple[str, ...] = _setting((), "symbols, separated by commas: BTCUSDT,ETHUSDT")
    exchange_ws_url: str = _setting("", "scheme, host and port that replace the exchange's WebSocket address")
    exchange_rest_url: str = _setting("", "scheme, host and port that replace the exchange's REST address")
    default_exchange: str = _setting("binance", "the exchange that answers when a query names none")
    topic_prefix: str = _setting("trades", "first part of every topic's name")
    topic_retention_ms: int = _setting(
        24 * 3600 * 1000, "ms for which a topic that is made here keeps trades", least=60_000
    )
    topic_replication: int = _setting(
        -1, "replicas of a topic that is made here, -1 for the broker's default", least=-1
    )
    consumer_group: str = _setting("marketstream", "Kafka consumer group of the processors")
    pack_ms: int = _setting(10, "ms for which trades are gathered into one record", least=0)
    heartbeat_ms: int = _setting(1_000, "ms between heartbeats of a symbol", least=10)
    grace_ms: int = _setting(1_000, "ms of exchange time for which a window waits for late trades", least=0)
    max_id_jump: int = _setting(
        1_000_000, "a greater jump of trade ids starts a new segment, never a backfill", least=1
    )
    max_holes: int = _setting(1_000, "holes of a symbol kept in mind; the oldest is given up beyond it", least=1)
    publish_ms: int = _setting(20, "ms for which live state is gathered before it goes to Redis", least=1)
    recording: str = _setting("", "file that the exchange `replay` reads")
    replay_speed: str = _setting("1", "how many times faster than it was recorded, or max")
    simulator_seed: int = _setting(1, "the simulator is a function of this seed and the time", least=0)
    http_host: str = _setting("0.0.0.0", "address on which HTTP is served")  # noqa: S104 - a container serves its pod
    http_port: int = _setting(8000, "port on which HTTP is served", least=0)
    log_level: str = _setting("info", "least level of log lines", choices=("debug", "info", "warning", "error"))
    log_format: str = _setting("console", "form of log lines", choices=("console", "json"))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, **given: Any) -> Self:
        """The settings of `environment`; `given` fields win. Raises SettingsError for the first that makes no sense."""
        read = {
            f.name: _read(f.name, f.type, f.metadata, environment[f.name.upper()])
            for f in fields(cls)
            if f.name not in given and environment.get(f.name.upper(), "") != ""
        }
        return cls(**read, **given)

    def to_environment(self) -> dict[str, str]:
        """The environment from which these settings are read again; what is at its default is left out."""
        return {
            f.name.upper(): ",".join(value) if isinstance(value, tuple) else str(value)
            for f in fields(self)
            if (value := getattr(self, f.name)) != f.default
        }

    def require(self, *names: str) -> None:
        """Raises SettingsError, naming all of them, when any of these fields is empty."""
        missing = [f for f in fields(self) if f.name in names and not getattr(self, f.name)]
        if missing:
            wanted = "; ".join(f"{f.name.upper()} ({f.metadata['help']})" for f in missing)
            raise SettingsError(f"missing in the environment: {wanted}")

    def but(self, **changes: Any) -> Self:
        """A copy with other values in some fields."""
        return replace(self, **changes)

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{f.name}={'***' if f.metadata.get('secret') else repr(value)}"
            for f in fields(self)
            if (value := getattr(self, f.name)) != f.default
        )
        return f"Settings({shown})"


_BOUNDLESS: Final = 2**63


def _read(name: str, kind: Any, checks: Mapping[str, Any], text: str) -> Any:
    variable = name.upper()
    if kind is int:
        least = checks.get("least", -_BOUNDLESS)
        try:
            number = int(text)
        except ValueError:
            raise SettingsError(f"{variable} is {text!r}: expected a whole number ({checks['help']})") from None
        if not least <= number < _BOUNDLESS:
            raise SettingsError(f"{variable} is {number}: expected at least {least} ({checks['help']})")
        return number
    if kind == tuple[str, ...]:
        return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    choices = checks.get("choices")
    if choices and text not in choices:
        raise SettingsError(f"{variable} is {text!r}: expected one of {', '.join(choices)}")
    scheme = checks.get("url")
    if scheme and not urlsplit(text).scheme.startswith(scheme):
        raise SettingsError(f"{variable} does not begin with {scheme}://: expected {checks['help']}")
    return text
