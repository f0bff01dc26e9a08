"""The options of a local run, validated before any server starts."""

import re
import unicodedata
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final

from marketstream.local.errors import OptionsError
from marketstream.symbols import is_spelled

EXCHANGES: Final = ("binance", "simulator", "replay")

DEFAULT_MANIFEST: Final = Path("manifests/majors.yaml")

RECORDINGS: Final = (".csv", ".zip")

_EXCHANGE: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOptions:
    """The options of a local run.

    Without an exchange or without symbols, those of the manifest apply. The manifest is None if it is not needed.
    """

    manifest: Path | None = None
    exchange: str | None = None
    symbols: tuple[str, ...] = ()
    recording: Path | None = None
    store_as: str | None = None
    """The exchange under whose name the trades of a replay are stored; None for `replay`."""
    speed: str = "1"
    """Speed of a replay: a multiple of the recorded speed above 0, or `max`."""
    port: int = 8000
    data: Path = Path(".marketstream")
    ephemeral: bool = False

    @classmethod
    def of(
        cls,
        *,
        manifest: str | None = None,
        exchange: str | None = None,
        symbols: str | None = None,
        recording: str | None = None,
        store_as: str | None = None,
        speed: str | None = None,
        port: str = "8000",
        data: Path = Path(".marketstream"),
        ephemeral: bool = False,
    ) -> "LocalOptions":
        """Return the options, parsed from the text of each; None stands for an option that was not given.

        A recording implies the exchange `replay`. Raises OptionsError for the first invalid option.
        """
        exchange = _exchange(exchange, recording)
        replay = exchange == "replay"
        if not replay:
            _refuse_without_replay(store_as, speed)
        read_symbols = _symbols(symbols)
        if replay and len(read_symbols) > 1:
            raise OptionsError(f"--symbols is {symbols!r}: expected one symbol, because a recording has only one")
        needed = not (replay or (exchange and read_symbols))
        return cls(
            manifest=_manifest(manifest) if needed else None,
            exchange=exchange,
            symbols=read_symbols,
            recording=_recording(recording) if replay else None,
            store_as=_store_as(store_as),
            speed=_speed(speed or "1"),
            port=_port(port),
            data=_data(data),
            ephemeral=ephemeral,
        )


def _exchange(exchange: str | None, recording: str | None) -> str | None:
    if exchange is None:
        return "replay" if recording else None
    if exchange not in EXCHANGES:
        raise OptionsError(f"--exchange is {exchange!r}: expected one of {', '.join(EXCHANGES)}")
    if recording and exchange != "replay":
        raise OptionsError(f"--recording needs --exchange replay, but --exchange is {exchange!r}")
    return exchange


def _refuse_without_replay(store_as: str | None, speed: str | None) -> None:
    for option, given in (("--as", store_as), ("--speed", speed)):
        if given is not None:
            raise OptionsError(f"{option} {given} is for a replay only: add --recording FILE")


def _symbols(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    parts = (unicodedata.normalize("NFC", part).strip().upper() for part in text.split(","))
    symbols = tuple(dict.fromkeys(parts))
    for symbol in symbols:
        if not is_spelled(symbol):
            raise OptionsError(f"--symbols is {text!r}: expected symbols separated by commas, such as BTCUSDT,ETHUSDT")
    return symbols


def _manifest(text: str | None) -> Path:
    path = DEFAULT_MANIFEST if text is None else Path(text)
    if not path.is_file():
        given = f"the manifest {path} does not exist" if text else f"no MANIFEST was given, and {path} does not exist"
        raise OptionsError(f"{given}: give a YAML file, or --exchange with --symbols")
    return path


def _recording(text: str | None) -> Path:
    if text is None:
        raise OptionsError("--exchange replay needs --recording FILE")
    path = Path(text)
    if not path.is_file():
        raise OptionsError(f"--recording is {text}: no such file")
    if path.suffix.lower() not in RECORDINGS:
        raise OptionsError(f"--recording is {text}: expected a file name that ends with {' or '.join(RECORDINGS)}")
    return path


def _store_as(text: str | None) -> str | None:
    if text is not None and not _EXCHANGE.fullmatch(text):
        raise OptionsError(f"--as is {text!r}: expected the name of an exchange in lower case, such as binance")
    return text


def _speed(text: str) -> str:
    if text == "max":
        return text
    try:
        is_valid = 0 < float(text) < inf
    except ValueError:
        is_valid = False
    if not is_valid:
        raise OptionsError(f"--speed is {text!r}: expected a number above 0, such as 1 or 2.5, or max")
    return text


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65_535:
        raise OptionsError(f"--port is {text!r}: expected a whole number from 0 to 65535")
    return int(text)


def _data(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise OptionsError(f"--data is {path}: expected a directory, which is created if it does not exist")
    return path
