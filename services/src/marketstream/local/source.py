"""The exchange and the symbols of a local run."""

import asyncio
from collections.abc import Callable
from typing import Final

from marketstream.exchanges.errors import ExchangeError, UnknownSymbolError
from marketstream.exchanges.registry import open_exchange, symbols_of
from marketstream.local.manifest import read_manifest
from marketstream.local.options import LocalOptions
from marketstream.settings import Settings

ANSWER_LIMIT_S: Final = 4.0
"""Seconds within which an exchange must answer for the first time. The servers start meanwhile."""


def requested_settings(options: LocalOptions, environment: Settings) -> Settings:
    """Return the settings of the environment with the exchange and the symbols of the options or of the manifest.

    Raises ManifestError for an invalid manifest, SettingsError for a recording without a symbol.
    """
    if options.recording is not None:
        settings = environment.but(
            exchange="replay", symbols=options.symbols, recording=str(options.recording), replay_speed=options.speed
        )
        return settings.but(symbols=symbols_of(settings, "--symbols"))
    if options.manifest is None:
        return environment.but(exchange=options.exchange or "", symbols=options.symbols)
    manifest = read_manifest(options.manifest)
    requested = environment.but(
        exchange=options.exchange or manifest.exchange,
        symbols=options.symbols or manifest.symbols,
    )
    if requested.exchange != manifest.exchange:
        return requested  # the addresses in the manifest are those of another exchange
    return requested.but(
        exchange_ws_url=environment.exchange_ws_url or manifest.ws_url,
        exchange_rest_url=environment.exchange_rest_url or manifest.rest_url,
    )


async def reachable_settings(
    requested: Settings, report: Callable[[str], None], store_as: str | None = None
) -> Settings:
    """Return the requested settings, or those of the simulator if the exchange is unreachable.

    `report` receives a line that explains the replacement, or names the symbols that the exchange does not list.
    `store_as` is the name under which a replay is to be stored.

    Raises UnknownSymbolError if the exchange lists none of the symbols, ExchangeError if a recording is unusable.
    """
    exchange = open_exchange(requested, store_as)
    try:
        async with asyncio.timeout(ANSWER_LIMIT_S):
            await exchange.check(requested.symbols)
    except UnknownSymbolError as error:
        if not set(requested.symbols) - set(error.symbols):
            raise
        report(f"{error}; running the others")
    except (ExchangeError, OSError, TimeoutError) as error:
        if requested.exchange == "replay":
            raise
        report(
            f"{requested.exchange} is unreachable ({str(error) or 'no answer'}): "
            f"running the simulator instead, stored under the exchange `simulator`"
        )
        return requested.but(exchange="simulator")
    finally:
        await exchange.close()
    return requested
