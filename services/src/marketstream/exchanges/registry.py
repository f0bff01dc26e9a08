"""Which exchange the settings name."""

from pathlib import Path

from marketstream.exchanges.base import Exchange
from marketstream.exchanges.replay import Replay, parse_speed, symbol_of
from marketstream.exchanges.simulator import Simulator
from marketstream.settings import Settings, SettingsError


def open_exchange(settings: Settings, stored_as: str | None = None) -> Exchange:
    """The exchange of the settings. `stored_as` is the name under which a replay's trades are stored.

    Raises SettingsError, naming those that are known, when it is none of them.
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
                name=stored_as or "replay",
                speed=parse_speed(settings.replay_speed),
            )
        case "binance":
            raise SettingsError("EXCHANGE is 'binance': its live feed does not exist yet; expected simulator or replay")
        case other:
            raise SettingsError(f"EXCHANGE is {other!r}: expected simulator or replay")


def symbols_of(settings: Settings) -> tuple[str, ...]:
    """The symbols of the settings; for a replay without any, the one that its file's name tells.

    Raises SettingsError when there is none.
    """
    if settings.exchange == "replay" and settings.recording:
        return (symbol_of(Path(settings.recording), settings.symbols),)
    settings.require("symbols")
    return settings.symbols
