"""Reading of a spec into its types, with the checks that its schema cannot express."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Final

import msgspec
from marketstream.kafka.topics import LONGEST, topic_name
from marketstream.settings import Settings, SettingsError

from marketstream_operator.resource.errors import SpecError
from marketstream_operator.resource.pods import EnvVar
from marketstream_operator.resource.spec import EXCHANGES, TUNING, Spec, Workload

RESERVED_ENV: Final = frozenset(f.name.upper() for f in fields(Settings)) - frozenset(TUNING)
"""Environment variables that `env` may not set."""

_INSTEAD: Final = {
    "EXCHANGE": "set spec.exchange",
    "SYMBOLS": "set spec.symbols",
    "EXCHANGE_WS_URL": "set spec.endpoints.webSocket",
    "EXCHANGE_REST_URL": "set spec.endpoints.rest",
    "TOPIC_RETENTION_MS": "set spec.retention.trades",
    "MAX_AGE_S": "set spec.freshness.maxAge",
    "LOG_LEVEL": "set logLevel, next to env",
}
_CONNECTION: Final = ("KAFKA_", "DATABASE_URL", "REDIS_URL")

TUNED: Final = "settings of MarketStream are given by value, because errors name them: set value instead"
"""The reason why the variables of TUNING may not come from a Secret or another source, and what to do."""

RESERVED_PREFIXES: Final = ("app.kubernetes.io/", "marketstream.io/")
"""Prefixes of labels and annotations that are reserved for the operator."""

_QUALIFIED: Final = re.compile(
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_TYPES: Final = {
    "int": "a whole number", "str": "a string", "bool": "true or false", "array": "a list", "object": "an object",
}  # fmt: skip
"""The types in messages of msgspec, in words."""

_SOCKET: Final = re.compile(r"wss?://[^/?#\s]+")
_REST: Final = re.compile(r"https?://[^/?#\s]+")


def read_spec(spec: Mapping[str, Any]) -> Spec:
    """Return the typed spec. Raises SpecError for the first error found.

    The API server has checked the spec against the schema, but possibly against the schema of another version.
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
    """Return the error for a message of msgspec such as `Expected `int`, got `str` - at `$.symbolsPerPair``."""
    what, _, place = said.partition(" - at `$")
    path = place.rstrip("`")
    what = re.sub(r"`(.*?)`", lambda found: _in_words(found[1]), what)
    what = re.sub("^Invalid enum value .*", "expected a word that kubectl explain lists", what)
    if what.startswith("Object contains unknown field "):
        unknown = what.removeprefix("Object contains unknown field ")
        return SpecError(
            f"spec{path}.{unknown}", "this operator does not know the field: correct its name, or update the operator"
        )
    if what.startswith("Object missing required field "):
        missing = what.removeprefix("Object missing required field ")
        return SpecError(f"spec{path}.{missing}", "got nothing, expected a value: the field is required")
    given = _at(spec, path)
    expected = what[:1].lower() + what[1:]
    if given is not spec:
        expected = f"got {given!r}, {expected.partition(', got ')[0]}"
    return SpecError(f"spec{path}", f"{expected}: correct the value")


def _in_words(types: str) -> str:
    """Return `int | str` as `a whole number or a string`, and `null` by itself as `nothing`."""
    return " or ".join(_TYPES.get(each, each) for each in types.split(" | ") if each != "null") or "nothing"


def _at(spec: Any, path: str) -> Any:
    """Return the value at a path such as `.producer.env[0]`, or `spec` itself if the path names no single value."""
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
        if not spelling.allows(symbol):
            raise SpecError(field, f"got {symbol!r}, expected a symbol of {spec.exchange}: {spelling.expected}")
        topic = topic_name("trades", spec.exchange, symbol)
        if len(topic) > LONGEST:
            raise SpecError(
                field,
                f"got {symbol!r}, whose topic would have a name of {len(topic)} characters, but Kafka allows at most "
                f"{LONGEST}: remove the symbol",
            )
        other = topics.get(topic)
        if other == symbol:
            raise SpecError(field, f"got {symbol!r} twice, expected each symbol once: remove one of them")
        if other is not None:
            raise SpecError(
                field,
                f"got {symbol!r} and {other!r}, which would share the topic {topic}: remove one of them",
            )
        topics[topic] = symbol


def _check_endpoints(spec: Spec) -> None:
    for field, given, form, example in (
        ("webSocket", spec.endpoints.web_socket, _SOCKET, "wss://stream.example:9443"),
        ("rest", spec.endpoints.rest, _REST, "https://api.example"),
    ):
        if given and not form.fullmatch(given):
            raise SpecError(
                f"spec.endpoints.{field}",
                f"got {given!r}, expected scheme, host and port without a path, such as {example}",
            )


def _check_workload(field: str, workload: Workload) -> None:
    _check_env(f"{field}.env", workload.env)
    for name, given in (("labels", workload.labels), ("annotations", workload.annotations)):
        _check_keys(f"{field}.{name}", given)
        for key in given:
            if key.startswith(RESERVED_PREFIXES):
                raise SpecError(
                    f"{field}.{name}",
                    f"got {key!r}, but the operator reserves {' and '.join(RESERVED_PREFIXES)}: use another key",
                )
    _check_keys(f"{field}.nodeSelector", workload.node_selector)


def _check_keys(field: str, keys: Iterable[str]) -> None:
    for key in keys:
        if len(key.partition("/")[0]) > 253 or not _QUALIFIED.fullmatch(key):
            raise SpecError(
                field,
                f"got the key {key!r}, expected up to 63 letters, digits, -, _ and ., optionally after a domain and /",
            )


def _check_env(field: str, env: tuple[EnvVar, ...]) -> None:
    seen: set[str] = set()
    for place, variable in enumerate(env):
        where = f"{field}[{place}]"
        name = variable.name
        if name in seen:
            raise SpecError(f"{where}.name", f"got {name} twice, expected each name once: remove one of them")
        seen.add(name)
        if name in RESERVED_ENV:
            raise SpecError(f"{where}.name", f"{name} cannot be set in env: {_instead(name)}")
        source = variable.value_from
        if source is not None:
            if variable.value is not None:
                raise SpecError(where, "got value and valueFrom, expected only one of them: remove the other")
            if len(msgspec.to_builtins(source)) != 1:
                raise SpecError(f"{where}.valueFrom", "expected exactly one of secretKeyRef, configMapKeyRef, fieldRef "
                                "and resourceFieldRef")  # fmt: skip
            if name in TUNING:
                raise SpecError(f"{where}.valueFrom", f"got a source for {name}, expected a value: {TUNED}")
        elif name in TUNING:
            try:
                Settings.from_environment({name: variable.value or ""})
            except SettingsError as error:
                raise SpecError(f"{where}.value", f"got {variable.value!r}: {error}") from None


def _instead(name: str) -> str:
    if name in _INSTEAD:
        return _INSTEAD[name]
    if name.startswith(_CONNECTION):
        return "set it in the Secret of spec.connectionSecretRef"
    return "the operator decides it"
