"""The MarketStream resource: its types, and how a spec is read into them with all that its schema cannot check."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Final

import msgspec
from marketstream.kafka.topics import topic_name
from marketstream.settings import Settings, SettingsError

from marketstream_operator.resource.errors import SpecError
from marketstream_operator.resource.pods import EnvVar
from marketstream_operator.resource.spec import EXCHANGES, TUNING, Spec, Workload

RESERVED_ENV: Final = frozenset(f.name.upper() for f in fields(Settings)) - frozenset(TUNING)
"""Variables that only the operator, or the connection Secret, sets."""

_INSTEAD: Final = {
    "EXCHANGE": "set spec.exchange",
    "SYMBOLS": "set spec.symbols",
    "EXCHANGE_WS_URL": "set spec.endpoints.webSocket",
    "EXCHANGE_REST_URL": "set spec.endpoints.rest",
    "TOPIC_RETENTION_MS": "set spec.retention.trades",
    "MAX_AGE_S": "set spec.freshness.maxAge",
    "LOG_LEVEL": "set logLevel beside env",
}
_CONNECTION: Final = ("KAFKA_", "DATABASE_URL", "REDIS_URL")

RESERVED_PREFIXES: Final = ("app.kubernetes.io/", "marketstream.io/")
"""Labels and annotations that begin with one of them are the operator's."""

_QUALIFIED: Final = re.compile(
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_SOCKET: Final = re.compile(r"wss?://[^/?#\s]+")
_REST: Final = re.compile(r"https?://[^/?#\s]+")


def read_spec(spec: Mapping[str, Any]) -> Spec:
    """The typed spec. Raises SpecError for the first thing that makes no sense.

    The API server has checked an object against the schema, but perhaps against that of another version.
    """
    try:
        read = msgspec.convert(dict(spec), Spec)
    except msgspec.ValidationError as error:
        raise _refusal(spec, str(error)) from None
    _check_exchange(read)
    _check_symbols(read)
    _check_endpoints(read)
    _ = read.freshness.max_age_s, read.retention.trades_s
    for name, workload in (("producer", read.producer), ("processor", read.processor)):
        _check_workload(f"spec.{name}", workload)
    return read


def _refusal(spec: Mapping[str, Any], said: str) -> SpecError:
    """msgspec's `Expected `int`, got `str` - at `$.symbolsPerPair`` with the field's path, and what was given."""
    what, _, place = said.partition(" - at `$")
    path = place.rstrip("`")
    what = re.sub(r"`(.*?)`", r"\1", what)
    if what.startswith("Object contains unknown field "):
        unknown = what.removeprefix("Object contains unknown field ")
        return SpecError(
            f"spec{path}.{unknown}", "this operator does not know this field: correct its name, or update the operator"
        )
    if what.startswith("Object missing required field "):
        missing = what.removeprefix("Object missing required field ")
        return SpecError(f"spec{path}.{missing}", "got nothing, expected a value: this field is required")
    given = _at(spec, path)
    shown = "" if given is spec else f"got {given!r}: "
    return SpecError(f"spec{path}", f"{shown}{what[:1].lower()}{what[1:]}: correct the value")


def _at(spec: Any, path: str) -> Any:
    """The value at `.producer.env[0]`; `spec` itself where the path does not name one value."""
    value: Any = spec
    for name, place in re.findall(r"\.(\w+)|\[(\d+|\.\.\.)\]", path):
        try:
            value = value[name] if name else value[int(place)]
        except (LookupError, TypeError, ValueError):
            return spec
    return value


def _check_exchange(spec: Spec) -> None:
    if spec.exchange not in EXCHANGES:
        raise SpecError("spec.exchange", f"got {spec.exchange!r}, expected one of {', '.join(EXCHANGES)}")


def _check_symbols(spec: Spec) -> None:
    spelling = EXCHANGES[spec.exchange]
    topics: dict[str, str] = {}
    for place, symbol in enumerate(spec.symbols):
        field = f"spec.symbols[{place}]"
        if len(symbol) > spelling.longest or not re.fullmatch(spelling.pattern, symbol):
            raise SpecError(field, f"got {symbol!r}, expected a symbol of {spec.exchange}: {spelling.expected}")
        topic = topic_name("trades", spec.exchange, symbol)
        other = topics.get(topic)
        if other == symbol:
            raise SpecError(field, f"got {symbol!r} a second time, expected each symbol once: remove one of them")
        if other is not None:
            raise SpecError(
                field,
                f"got {symbol!r} beside {other!r}, expected symbols whose topics differ: both would be {topic}; "
                "remove one of them",
            )
        topics[topic] = symbol


def _check_endpoints(spec: Spec) -> None:
    for field, given, form, example in (
        ("webSocket", spec.endpoints.web_socket, _SOCKET, "wss://stream.example:9443"),
        ("rest", spec.endpoints.rest, _REST, "https://api.example"),
    ):
        if given and not form.fullmatch(given):
            raise SpecError(
                f"spec.endpoints.{field}", f"got {given!r}, expected scheme, host and port without a path, as {example}"
            )


def _check_workload(field: str, workload: Workload) -> None:
    _check_env(f"{field}.env", workload.env)
    for name, given in (("labels", workload.labels), ("annotations", workload.annotations)):
        _check_keys(f"{field}.{name}", given)
        for key in given:
            if key.startswith(RESERVED_PREFIXES):
                raise SpecError(
                    f"{field}.{name}",
                    f"got {key!r}, but {' and '.join(RESERVED_PREFIXES)} are the operator's: use another",
                )
    _check_keys(f"{field}.nodeSelector", workload.node_selector)


def _check_keys(field: str, keys: Iterable[str]) -> None:
    for key in keys:
        if len(key.partition("/")[0]) > 253 or not _QUALIFIED.fullmatch(key):
            raise SpecError(
                field,
                f"got the key {key!r}, expected up to 63 letters, digits, -, _ and ., perhaps after a domain and /",
            )


def _check_env(field: str, env: tuple[EnvVar, ...]) -> None:
    seen: set[str] = set()
    for place, variable in enumerate(env):
        where = f"{field}[{place}]"
        name = variable.name
        if name in seen:
            raise SpecError(f"{where}.name", f"got {name} a second time, expected each name once: remove one of them")
        seen.add(name)
        if name in RESERVED_ENV:
            raise SpecError(f"{where}.name", f"{name} is not for env: {_instead(name)}")
        source = variable.value_from
        if source is not None:
            if variable.value is not None:
                raise SpecError(where, "got value and valueFrom, expected one of them: remove the other")
            if len(msgspec.to_builtins(source)) != 1:
                raise SpecError(f"{where}.valueFrom", "expected exactly one of secretKeyRef, configMapKeyRef, fieldRef "
                                "and resourceFieldRef")  # fmt: skip
        elif name in TUNING:
            try:
                Settings.from_environment({name: variable.value or ""})
            except SettingsError as error:
                raise SpecError(f"{where}.value", str(error)) from None


def _instead(name: str) -> str:
    if name in _INSTEAD:
        return _INSTEAD[name]
    if name.startswith(_CONNECTION):
        return "put it into the Secret of spec.connectionSecretRef"
    return "the operator sets it"
