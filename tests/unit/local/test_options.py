"""The options of a local run."""

from pathlib import Path
from typing import Any

import pytest
from marketstream.local.errors import OptionsError
from marketstream.local.options import LocalOptions


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Create a project with the default manifest and a recording."""
    (tmp_path / "manifests").mkdir()
    for name in ("manifests/majors.yaml", "own.yaml", "BTCUSDT-trades.csv", "BTCUSDT-trades.zip", "notes.txt"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)


def test_without_options_the_default_manifest_runs() -> None:
    assert LocalOptions.of() == LocalOptions(manifest=Path("manifests/majors.yaml"))


def test_a_manifest_can_be_given() -> None:
    assert LocalOptions.of(manifest="own.yaml").manifest == Path("own.yaml")


def test_an_exchange_alone_uses_the_symbols_of_the_manifest() -> None:
    options = LocalOptions.of(exchange="simulator")
    assert (options.exchange, options.symbols, options.manifest) == ("simulator", (), Path("manifests/majors.yaml"))


def test_an_exchange_with_symbols_needs_no_manifest() -> None:
    options = LocalOptions.of(exchange="simulator", symbols="btcusdt, ETHUSDT", manifest="nowhere.yaml")
    assert (options.manifest, options.symbols) == (None, ("BTCUSDT", "ETHUSDT"))


def test_a_recording_implies_a_replay_which_needs_no_manifest() -> None:
    options = LocalOptions.of(recording="BTCUSDT-trades.zip", store_as="binance", speed="max", manifest="nowhere.yaml")
    assert options == LocalOptions(
        exchange="replay", recording=Path("BTCUSDT-trades.zip"), store_as="binance", speed="max"
    )


@pytest.mark.parametrize("speed", ["1", "2.5", "1000", "1e3", "max"])
def test_a_speed(speed: str) -> None:
    assert LocalOptions.of(recording="BTCUSDT-trades.csv", speed=speed).speed == speed


@pytest.mark.parametrize(("port", "number"), [("0", 0), ("65535", 65535)])
def test_a_port(port: str, number: int) -> None:
    assert LocalOptions.of(port=port).port == number


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"exchange": "kraken"}, "--exchange is 'kraken': expected one of binance, simulator, replay"),
        ({"exchange": "replay"}, "--exchange replay needs --recording FILE"),
        ({"exchange": "simulator", "recording": "BTCUSDT-trades.csv"}, "--recording needs --exchange replay"),
        ({"recording": "nowhere.csv"}, "--recording is nowhere.csv: no such file"),
        ({"recording": "manifests"}, "--recording is manifests: no such file"),
        ({"recording": "notes.txt"}, r"expected a file name that ends with \.csv or \.zip"),
        (
            {"recording": "BTCUSDT-trades.csv", "symbols": "A,B"},
            "expected one symbol, because",
        ),
        ({"recording": "BTCUSDT-trades.csv", "store_as": "Binance US"}, "--as is 'Binance US'"),
        ({"recording": "BTCUSDT-trades.csv", "store_as": ""}, "--as is ''"),
        ({"store_as": "binance"}, "--as binance is for a replay only"),
        ({"speed": "2"}, "--speed 2 is for a replay only"),
        ({"recording": "BTCUSDT-trades.csv", "speed": "0"}, "--speed is '0': expected a number above 0"),
        ({"recording": "BTCUSDT-trades.csv", "speed": "-1"}, "--speed is '-1'"),
        ({"recording": "BTCUSDT-trades.csv", "speed": "nan"}, "--speed is 'nan'"),
        ({"recording": "BTCUSDT-trades.csv", "speed": "inf"}, "--speed is 'inf'"),
        ({"recording": "BTCUSDT-trades.csv", "speed": "fast"}, "--speed is 'fast'"),
        ({"symbols": ""}, "--symbols is ''"),
        ({"symbols": "BTC USDT"}, "--symbols is 'BTC USDT'"),
        ({"symbols": "BTCUSDT,,ETHUSDT"}, "expected symbols separated by commas"),
        ({"port": "65536"}, "--port is '65536': expected a whole number from 0 to 65535"),
        ({"port": "-1"}, "--port is '-1'"),
        ({"port": "http"}, "--port is 'http'"),
        ({"manifest": "nowhere.yaml"}, r"the manifest nowhere\.yaml does not exist"),
        ({"data": Path("notes.txt")}, r"--data is notes\.txt: expected a directory"),
    ],
)
def test_an_invalid_option_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        LocalOptions.of(**given)


def test_without_any_manifest_the_error_says_what_to_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path / "manifests")
    with pytest.raises(OptionsError, match=r"no MANIFEST was given, and manifests/majors\.yaml does not exist"):
        LocalOptions.of()


def test_symbols_may_have_letters_of_any_script() -> None:
    assert LocalOptions.of(exchange="simulator", symbols="币安人生usdt, E\u0301USDT").symbols == (
        "币安人生USDT",
        "ÉUSDT",
    )
