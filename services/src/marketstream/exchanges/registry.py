"""The exchange and the symbols that the settings name."""

from pathlib import Path

from marketstream.exchanges.base import Exchange
from marketstream.exchanges.binance.exchange import REST_URL, WS_URL, Binance
from marketstream.exchanges.replay.exchange import Replay, symbol_of
from marketstream.exchanges.replay.pace import parse_speed
from marketstream.exchanges.simulator.exchange import Simulator
from marketstream.redis.budget import Budget
from marketstream.redis.client import connect
from marketstream.settings import Settings, SettingsError


def open_exchange(settings: Settings, stored_as: str | None = None, budget: Budget | None = None) -> Exchange:
    """Open the exchange that the settings name.

    `stored_as` is the name under which the trades of a replay are stored; by default, the replay chooses it.
    `budget` is the request weight of a real exchange; by default, it is shared through Redis if the settings name one.

    Raises SettingsError, with the known names, if the exchange is unknown.
    """
    match settings.exchange:
        case "simulator":
            return Simulator(settings.simulator_seed)
        case "replay":
            settings.require("recording")
            path = Path(settings.recording)
            return Replay(
                path,
                symbol=symbol_of(path, settings.symbols),
                name=stored_as,
                speed=parse_speed(settings.replay_speed),
            )
        case "binance":
            return Binance(
                budget or Budget(connect(settings) if settings.redis_url else None),
                ws_url=settings.exchange_ws_url or WS_URL,
                rest_url=settings.exchange_rest_url or REST_URL,
            )
        case other:
            raise SettingsError(f"EXCHANGE is {other!r}: expected binance, simulator or replay")


def history_of(settings: Settings) -> Exchange | None:
    """Open the exchange whose history fills holes, or return None if the settings name an exchange without history.

    A replay counts as one without: its file also holds trades that have not been replayed yet.
    """
    return open_exchange(settings) if settings.exchange in ("binance", "simulator") else None


def symbols_of(settings: Settings, option: str = "SYMBOLS") -> tuple[str, ...]:
    """Return the symbols of the settings, or for a replay without symbols the one in the name of its file.

    Raises SettingsError if there is none; `option` is the name that the message gives to the setting of the symbols.
    """
    if settings.exchange == "replay" and settings.recording:
        return (symbol_of(Path(settings.recording), settings.symbols, option),)
    settings.require("symbols")
    return settings.symbols
