from pathlib import Path

import pytest
from marketstream.exchanges.binance.exchange import Binance
from marketstream.exchanges.registry import open_exchange, symbols_of
from marketstream.exchanges.replay.exchange import Replay
from marketstream.exchanges.simulator.exchange import Simulator
from marketstream.settings import Settings, SettingsError

RECORDING = "binance-BTCUSDT-trades-2021-01-08.csv"


def test_the_simulator_is_opened_by_its_name() -> None:
    exchange = open_exchange(Settings(exchange="simulator"))
    assert isinstance(exchange, Simulator)
    assert exchange.name == "simulator"


async def test_binance_is_opened_at_its_own_or_another_address() -> None:
    for settings in (
        Settings(exchange="binance"),
        Settings(exchange="binance", exchange_rest_url="http://127.0.0.1:1"),
    ):
        exchange = open_exchange(settings)
        assert isinstance(exchange, Binance)
        assert exchange.name == "binance"
        await exchange.close()


def test_a_replay_is_stored_under_its_own_or_the_given_name(recordings: Path) -> None:
    settings = Settings(exchange="replay", recording=str(recordings / RECORDING), replay_speed="max")
    exchange = open_exchange(settings)
    assert isinstance(exchange, Replay)
    assert (exchange.name, exchange.symbol) == ("replay", "BTCUSDT")
    assert open_exchange(settings, stored_as="binance").name == "binance"
    assert symbols_of(settings) == ("BTCUSDT",)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(exchange="mtgox"), "'mtgox': expected binance, simulator or replay"),
        (Settings(), "'': expected binance, simulator or replay"),
        (Settings(exchange="replay"), "RECORDING"),
        (Settings(exchange="replay", recording=RECORDING, replay_speed="slow"), "REPLAY_SPEED"),
    ],
)
def test_an_unknown_exchange_or_a_missing_setting_is_a_clear_error(settings: Settings, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        open_exchange(settings)


def test_symbols_must_be_given() -> None:
    assert symbols_of(Settings(exchange="simulator", symbols=("A1", "B2"))) == ("A1", "B2")
    with pytest.raises(SettingsError, match="SYMBOLS"):
        symbols_of(Settings(exchange="simulator"))
