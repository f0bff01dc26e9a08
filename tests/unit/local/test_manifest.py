"""Manifests as users write them, and the mistakes in them."""

from pathlib import Path
from typing import Any

import pytest
from marketstream.local.errors import ManifestError
from marketstream.local.manifest import Manifest, read_manifest

from tests.unit.local.manifests import stream, written

MAJORS = Path(__file__).parents[3] / "manifests" / "majors.yaml"


def test_the_manifest_of_make_run_is_valid() -> None:
    assert read_manifest(MAJORS) == Manifest("majors", "binance", ("BTCUSDT", "ETHUSDT", "SOLUSDT"))


def test_the_fields_of_the_operator_are_accepted(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        stream(
            symbolsPerPair=2, paused=False, freshness={"maxAge": "60s"}, producer={"resources": {}}, processor={},
            retention={"trades": "24h", "onDelete": "delete"}, connectionSecretRef={"name": "elsewhere"},
        ),
    )  # fmt: skip
    assert read_manifest(path).symbols == ("BTCUSDT", "ETHUSDT")


def test_the_addresses_of_the_exchange_can_be_replaced(tmp_path: Path) -> None:
    path = written(tmp_path, stream(endpoints={"webSocket": "wss://stream.example:9443", "rest": "http://localhost:1"}))
    manifest = read_manifest(path)
    assert (manifest.ws_url, manifest.rest_url) == ("wss://stream.example:9443", "http://localhost:1")


def test_documents_of_other_kinds_are_skipped(tmp_path: Path) -> None:
    path = written(tmp_path, {"kind": "Namespace", "metadata": {"name": "markets"}}, None, stream())
    assert read_manifest(path).name == "majors"


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([], r"expected exactly one document of kind MarketStream, found 0 \(nothing\)"),
        ([{"kind": "Pod"}, 5, {}], r"found 0 \(Pod, int, no kind\)"),
        ([stream(), stream()], r"found 2 \(MarketStream, MarketStream\)"),
        ([stream() | {"apiVersion": "v1"}], "apiVersion is 'v1': expected marketstream.io/v1alpha1"),
        ([stream() | {"metadata": None}], "metadata is missing: expected a mapping of fields"),
        ([stream() | {"metadata": {"name": 5}}], "metadata.name is 5: expected a non-empty text"),
        ([stream() | {"spec": ["BTCUSDT"]}], r"spec is \['BTCUSDT'\]: expected a mapping of fields"),
        ([stream(symbol="BTCUSDT")], "spec has the unknown field 'symbol': expected exchange, symbols, "),
        ([stream(exchange=None)], "spec.exchange is missing: expected one of binance, simulator"),
        ([stream(exchange=["binance"])], r"spec.exchange is \['binance'\]: expected one of"),
        ([stream(exchange="replay")], "spec.exchange is 'replay'"),
        ([stream(symbols=None)], "spec.symbols is missing: expected a list of symbols"),
        ([stream(symbols=[])], r"spec.symbols is \[\]"),
        ([stream(symbols="BTCUSDT")], "spec.symbols is 'BTCUSDT': expected a list of symbols"),
        ([stream(symbols=["BTCUSDT", False])], r"spec.symbols\[1\] is False: expected a symbol"),
        ([stream(symbols=["btcusdt"])], r"spec.symbols\[0\] is 'btcusdt': expected a symbol in upper case"),
        ([stream(endpoints=5)], "spec.endpoints is 5: expected a mapping of fields"),
        ([stream(endpoints={"ws": ""})], "spec.endpoints has the unknown field 'ws': expected webSocket, rest"),
        ([stream(endpoints={"rest": "api.example"})], "spec.endpoints.rest is 'api.example': expected scheme, host"),
        ([stream(symbols=["BTCUSDT", "BTCUSDT"])], r"spec.symbols\[1\] is 'BTCUSDT': expected each symbol only once"),
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
        (b"spec: [", "not valid YAML: while parsing a flow .* line 1"),
        (b"spec: !!python/object:os.system {}", "not valid YAML: could not determine a constructor"),
        (b"\xff\xfe\xfa", "not UTF-8 text"),
    ],
)
def test_a_file_that_is_not_yaml_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "stream.yaml"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        read_manifest(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read: No such file"):
        read_manifest(tmp_path / "nowhere.yaml")


def test_symbols_may_have_letters_of_any_script(tmp_path: Path) -> None:
    assert read_manifest(written(tmp_path, stream(symbols=["币安人生USDT"]))).symbols == ("币安人生USDT",)
