"""Manifests as a user writes them, and as a user gets them wrong."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from marketstream.local.manifest import Manifest, ManifestError, read_manifest
from marketstream.local.options import LocalOptions
from marketstream.local.run import _wanted
from marketstream.settings import Settings

MAJORS = Path(__file__).parents[3] / "manifests" / "majors.yaml"


def stream(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "marketstream.io/v1alpha1",
        "kind": "MarketStream",
        "metadata": {"name": "majors"},
        "spec": {"exchange": "binance", "symbols": ["BTCUSDT", "ETHUSDT"], **spec},
    }


def written(tmp_path: Path, *documents: Any) -> Path:
    path = tmp_path / "stream.yaml"
    path.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    return path


def test_the_manifest_that_make_run_takes() -> None:
    assert read_manifest(MAJORS) == Manifest("majors", "binance", ("BTCUSDT", "ETHUSDT", "SOLUSDT"))


def test_what_steers_the_operator_is_accepted(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        stream(
            symbolsPerPair=2, paused=False, freshness={"maxAge": "60s"}, producer={"resources": {}}, processor={},
            retention={"trades": "24h", "onDelete": "delete"}, connectionSecretRef={"name": "elsewhere"},
        ),
    )  # fmt: skip
    assert read_manifest(path).symbols == ("BTCUSDT", "ETHUSDT")


def test_the_addresses_of_the_exchange_can_be_others(tmp_path: Path) -> None:
    path = written(tmp_path, stream(endpoints={"webSocket": "wss://stream.example:9443", "rest": "http://localhost:1"}))
    manifest = read_manifest(path)
    assert (manifest.ws_url, manifest.rest_url) == ("wss://stream.example:9443", "http://localhost:1")


@pytest.mark.parametrize(
    ("exchange", "environment", "expected"),
    [
        (None, {}, ("wss://manifest", "https://manifest")),
        (None, {"EXCHANGE_REST_URL": "https://environment"}, ("wss://manifest", "https://environment")),
        ("simulator", {}, ("", "")),
    ],
)
def test_a_local_run_takes_the_addresses_unless_told_otherwise(
    tmp_path: Path, exchange: str | None, environment: dict[str, str], expected: tuple[str, str]
) -> None:
    path = written(tmp_path, stream(endpoints={"webSocket": "wss://manifest", "rest": "https://manifest"}))
    options = LocalOptions.of(manifest=str(path), exchange=exchange)
    wanted = _wanted(options, Settings.from_environment(environment))
    assert (wanted.exchange_ws_url, wanted.exchange_rest_url) == expected


def test_other_kinds_beside_it_are_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path, {"kind": "Namespace", "metadata": {"name": "markets"}}, None, stream())
    assert read_manifest(path).name == "majors"


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([], r"expected exactly one document of kind MarketStream, found 0 \(nothing\)"),
        ([{"kind": "Pod"}, 5, {}], r"found 0 \(Pod, int, no kind\)"),
        ([stream(), stream()], r"found 2 \(MarketStream, MarketStream\)"),
        ([stream() | {"apiVersion": "v1"}], "apiVersion is 'v1': expected marketstream.io/v1alpha1"),
        ([stream() | {"metadata": None}], "metadata is missing: expected fields with values"),
        ([stream() | {"metadata": {"name": 5}}], "metadata.name is 5: expected a name"),
        ([stream() | {"spec": ["BTCUSDT"]}], r"spec is \['BTCUSDT'\]: expected fields with values"),
        ([stream(symbol="BTCUSDT")], "spec is 'symbol': expected only the fields exchange, symbols, "),
        ([stream(exchange=None)], "spec.exchange is missing: expected one of binance, simulator"),
        ([stream(exchange=["binance"])], r"spec.exchange is \['binance'\]: expected one of"),
        ([stream(exchange="replay")], "spec.exchange is 'replay'"),
        ([stream(symbols=None)], "spec.symbols is missing: expected a list of symbols"),
        ([stream(symbols=[])], r"spec.symbols is \[\]"),
        ([stream(symbols="BTCUSDT")], "spec.symbols is 'BTCUSDT': expected a list of symbols"),
        ([stream(symbols=["BTCUSDT", False])], r"spec.symbols\[1\] is False: expected a symbol"),
        ([stream(symbols=["btcusdt"])], r"spec.symbols\[0\] is 'btcusdt': expected a symbol in upper case"),
        ([stream(endpoints=5)], "spec.endpoints is 5: expected fields with values"),
        ([stream(endpoints={"ws": ""})], "spec.endpoints is 'ws': expected only the fields webSocket, rest"),
        ([stream(endpoints={"rest": "api.example"})], "spec.endpoints.rest is 'api.example': expected scheme, host"),
        ([stream(symbols=["BTCUSDT", "BTCUSDT"])], r"spec.symbols\[1\] is 'BTCUSDT': expected each symbol once"),
    ],
)
def test_an_error_names_the_file_the_field_and_what_is_expected(
    tmp_path: Path, documents: list[Any], message: str
) -> None:
    path = written(tmp_path, *documents)
    with pytest.raises(ManifestError, match=message) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"spec: [", "is no YAML: while parsing a flow .* line 1"),
        (b"spec: !!python/object:os.system {}", "is no YAML: could not determine a constructor"),
        (b"\xff\xfe\xfa", "expected UTF-8 text"),
    ],
)
def test_what_is_no_yaml_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "stream.yaml"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        read_manifest(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read: No such file"):
        read_manifest(tmp_path / "nowhere.yaml")
