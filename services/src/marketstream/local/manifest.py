"""Reading a MarketStream from its YAML file, the same file that kubectl applies."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from marketstream.local.errors import ManifestError
from marketstream.symbols import is_spelled

API_VERSION: Final = "marketstream.io/v1alpha1"
KIND: Final = "MarketStream"

EXCHANGES: Final = ("binance", "simulator")

SPEC: Final = (
    "exchange",
    "symbols",
    "endpoints",
    "symbolsPerPair",
    "className",
    "paused",
    "freshness",
    "retention",
    "connectionSecretRef",
    "producer",
    "processor",
)
"""The fields of a spec. A local run uses the first three; the others are for the operator."""

ENDPOINTS: Final = ("webSocket", "rest")

_ENDPOINT: Final = re.compile(r"(wss?|https?)://[^/?#\s]+")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The part of a MarketStream that a local run uses."""

    name: str
    exchange: str
    symbols: tuple[str, ...]
    ws_url: str = ""
    """Replaces the exchange's own WebSocket address: scheme, host and port; empty to keep it."""
    rest_url: str = ""
    """Replaces the exchange's own REST address: scheme, host and port; empty to keep it."""


def read_manifest(path: Path) -> Manifest:
    """Return the only MarketStream in the file. Raise ManifestError if the file is unreadable or invalid."""
    documents = _documents(path)
    streams = [document for document in documents if isinstance(document, Mapping) and document.get("kind") == KIND]
    if len(streams) != 1:
        kinds = ", ".join(str(_kind(document)) for document in documents) or "nothing"
        raise ManifestError(f"{path}: expected exactly one document of kind {KIND}, found {len(streams)} ({kinds})")
    return _Reader(path).manifest(streams[0])


def _documents(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8")
        return [document for document in yaml.safe_load_all(text) if document is not None]
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8 text: {error}") from error
    except yaml.YAMLError as error:
        raise ManifestError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error


def _kind(document: Any) -> Any:
    return document.get("kind", "no kind") if isinstance(document, Mapping) else type(document).__name__


class _Reader:
    """Reads one document. Each error message begins with the file and the field."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def manifest(self, document: Mapping[str, Any]) -> Manifest:
        if document.get("apiVersion") != API_VERSION:
            raise self._wrong("apiVersion", document.get("apiVersion"), API_VERSION)
        metadata = self._mapping("metadata", document.get("metadata"))
        spec = self._mapping("spec", document.get("spec"))
        for field in spec:
            if field not in SPEC:
                raise self._unknown_field("spec", field, SPEC)
        name = metadata.get("name")
        if not isinstance(name, str) or not name:
            raise self._wrong("metadata.name", name, "a non-empty text")
        exchange = spec.get("exchange")
        if exchange not in EXCHANGES:
            raise self._wrong("spec.exchange", exchange, f"one of {', '.join(EXCHANGES)}")
        symbols = self._symbols(spec.get("symbols"))
        return Manifest(name, exchange, symbols, *self._endpoints(spec.get("endpoints", {})))

    def _mapping(self, field: str, given: Any) -> Mapping[str, Any]:
        if not isinstance(given, Mapping):
            raise self._wrong(field, given, "a mapping of fields")
        return given

    def _symbols(self, given: Any) -> tuple[str, ...]:
        if not isinstance(given, Sequence) or isinstance(given, str) or not given:
            raise self._wrong("spec.symbols", given, "a list of symbols such as [BTCUSDT, ETHUSDT]")
        for place, symbol in enumerate(given):
            field = f"spec.symbols[{place}]"
            if not isinstance(symbol, str) or not is_spelled(symbol):
                raise self._wrong(field, symbol, "a symbol in upper case such as BTCUSDT")
            if symbol in given[:place]:
                raise self._wrong(field, symbol, "each symbol only once")
        return tuple(given)

    def _endpoints(self, given: Any) -> tuple[str, ...]:
        endpoints = self._mapping("spec.endpoints", given)
        for field, address in endpoints.items():
            if field not in ENDPOINTS:
                raise self._unknown_field("spec.endpoints", field, ENDPOINTS)
            if not isinstance(address, str) or not (address == "" or _ENDPOINT.fullmatch(address)):
                raise self._wrong(
                    f"spec.endpoints.{field}", address, "scheme, host and port, such as https://api.example"
                )
        return tuple(endpoints.get(field, "") for field in ENDPOINTS)

    def _unknown_field(self, parent: str, given: Any, known: Sequence[str]) -> ManifestError:
        return ManifestError(f"{self._path}: {parent} has the unknown field {given!r}: expected {', '.join(known)}")

    def _wrong(self, field: str, given: Any, expected: str) -> ManifestError:
        shown = "missing" if given is None else f"{given!r}"
        return ManifestError(f"{self._path}: {field} is {shown}: expected {expected}")
