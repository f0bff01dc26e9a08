"""The exchange and the symbols of a local run, and the simulator in place of an unreachable exchange."""

from pathlib import Path

import pytest
from marketstream.exchanges.errors import RecordingError, UnknownSymbolError
from marketstream.local.loopback import free_port
from marketstream.local.options import LocalOptions
from marketstream.local.source import reachable_settings, requested_settings
from marketstream.settings import Settings, SettingsError

from tests.unit.local.manifests import stream, written

NOTHING_SET = Settings.from_environment({})


def test_the_options_replace_the_exchange_and_the_symbols_of_the_manifest(tmp_path: Path) -> None:
    path = str(written(tmp_path, stream()))
    for options, expected in (
        (LocalOptions.of(manifest=path), ("binance", ("BTCUSDT", "ETHUSDT"))),
        (LocalOptions.of(manifest=path, exchange="simulator"), ("simulator", ("BTCUSDT", "ETHUSDT"))),
        (LocalOptions.of(manifest=path, symbols="SOLUSDT"), ("binance", ("SOLUSDT",))),
        (LocalOptions.of(exchange="simulator", symbols="SOLUSDT"), ("simulator", ("SOLUSDT",))),
    ):
        requested = requested_settings(options, NOTHING_SET)
        assert (requested.exchange, requested.symbols) == expected


def test_the_symbol_of_a_recording_comes_from_its_name_or_from_the_options(tmp_path: Path) -> None:
    named, unnamed = tmp_path / "BTCUSDT-trades-2021-01-08.csv", tmp_path / "day.csv"
    for path in (named, unnamed):
        path.touch()
    requested = requested_settings(LocalOptions.of(recording=str(named), speed="max"), NOTHING_SET)
    assert (requested.exchange, requested.symbols, requested.replay_speed) == ("replay", ("BTCUSDT",), "max")
    requested = requested_settings(LocalOptions.of(recording=str(unnamed), symbols="ETHUSDT"), NOTHING_SET)
    assert requested.symbols == ("ETHUSDT",)
    with pytest.raises(SettingsError, match="give one symbol with --symbols"):
        requested_settings(LocalOptions.of(recording=str(unnamed)), NOTHING_SET)


@pytest.mark.parametrize(
    ("exchange", "environment", "expected"),
    [
        (None, {}, ("wss://manifest", "https://manifest")),
        (None, {"EXCHANGE_REST_URL": "https://environment"}, ("wss://manifest", "https://environment")),
        ("simulator", {}, ("", "")),
    ],
)
def test_the_addresses_come_from_the_environment_or_the_manifest_of_the_same_exchange(
    tmp_path: Path, exchange: str | None, environment: dict[str, str], expected: tuple[str, str]
) -> None:
    path = written(tmp_path, stream(endpoints={"webSocket": "wss://manifest", "rest": "https://manifest"}))
    options = LocalOptions.of(manifest=str(path), exchange=exchange)
    requested = requested_settings(options, Settings.from_environment(environment))
    assert (requested.exchange_ws_url, requested.exchange_rest_url) == expected


async def test_an_exchange_that_answers_is_kept() -> None:
    said: list[str] = []
    requested = Settings(exchange="simulator", symbols=("BTCUSDT",))
    assert await reachable_settings(requested, said.append) == requested
    assert said == []


async def test_an_unreachable_exchange_is_replaced_by_the_simulator_with_an_explanation() -> None:
    said: list[str] = []
    requested = Settings(exchange="binance", symbols=("BTCUSDT",), exchange_rest_url=f"http://127.0.0.1:{free_port()}")
    settings = await reachable_settings(requested, said.append)
    assert (settings.exchange, settings.symbols) == ("simulator", ("BTCUSDT",))
    (line,) = said
    assert line.startswith("binance is unreachable (")
    assert line.endswith("running the simulator instead, stored under the exchange `simulator`")


async def test_an_unknown_symbol_and_an_unusable_recording_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UnknownSymbolError):
        await reachable_settings(Settings(exchange="simulator", symbols=("BTC USDT",)), pytest.fail)
    recording = tmp_path / "BTCUSDT-trades-empty.csv"
    recording.touch()
    with pytest.raises(RecordingError):
        await reachable_settings(
            Settings(exchange="replay", symbols=("BTCUSDT",), recording=str(recording)), pytest.fail
        )
