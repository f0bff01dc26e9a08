"""The addresses of the servers: from the environment, or from the data directory of a local run."""

from pathlib import Path
from typing import Final

import msgspec

from marketstream.cli.parser import DATA
from marketstream.settings import Settings, SettingsError


class AddressesError(SettingsError):
    """The file of addresses is missing or invalid."""


class ServerAddresses(msgspec.Struct, frozen=True):
    """The content of endpoints.json in a data directory."""

    kafka_bootstrap: str
    database_url: str
    redis_url: str


FILE: Final = "endpoints.json"


def find_settings(variable: str, data: Path | None) -> Settings:
    """Return settings in which the address `variable` is set.

    The address comes from the data directory `data`. Without `data` it comes from the environment, otherwise from the
    default data directory.

    Raises SettingsError if there is no address.
    """
    settings = Settings.from_environment()
    if data is None and getattr(settings, variable):
        return settings
    file = (data or DATA) / FILE
    if data is None and not file.exists():
        raise SettingsError(
            f"{variable.upper()} is not set, and there is no local run in {DATA}: "
            f"start a run with `make run`, or give its data directory with --data DIR"
        )
    return settings.but(**msgspec.structs.asdict(_read(file)))


def _read(file: Path) -> ServerAddresses:
    try:
        return msgspec.json.decode(file.read_bytes(), type=ServerAddresses)
    except FileNotFoundError:
        raise AddressesError(f"{file} does not exist: no local run is using that data directory") from None
    except msgspec.MsgspecError as error:
        raise AddressesError(f"{file} was not written by a local run: {error}") from None
