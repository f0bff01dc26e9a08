"""Where the servers are: in the environment, or in what a local run wrote into its data directory."""

from pathlib import Path
from typing import Final

import msgspec

from marketstream.cli.parser import DATA
from marketstream.settings import Settings, SettingsError


class AddressesError(SettingsError):
    """The file of addresses is not there or makes no sense."""


class Endpoints(msgspec.Struct, frozen=True):
    """DATA/endpoints.json."""

    kafka_bootstrap: str
    database_url: str
    redis_url: str


FILE: Final = "endpoints.json"


def find_settings(variable: str, data: Path | None) -> Settings:
    """Settings of which the field `variable` is given: from the data directory `data` or, without one, from the
    environment or else from the default data directory.

    Raises SettingsError when there is no address.
    """
    settings = Settings.from_environment()
    if data is None and getattr(settings, variable):
        return settings
    file = (data or DATA) / FILE
    if data is None and not file.exists():
        raise SettingsError(
            f"no {variable.upper()} in the environment, and no local run in {DATA}: "
            f"start one with `make run`, or say where its data is with --data"
        )
    endpoints = _read(file)
    return settings.but(**msgspec.structs.asdict(endpoints))


def _read(file: Path) -> Endpoints:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Endpoints)
    except FileNotFoundError:
        raise AddressesError(f"there is no {file}: no local run keeps its data there") from None
    except msgspec.MsgspecError as error:
        raise AddressesError(f"{file} is not what a local run writes: {error}") from None
