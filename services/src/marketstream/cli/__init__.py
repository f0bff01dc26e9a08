"""The commands. Each command imports its modules when it runs, so that all of them start fast."""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final

from marketstream.cli.parser import make_parser

if TYPE_CHECKING:
    from marketstream.failures import Failure

WRONG_USE = 2
INTERRUPTED = 130

SERVICES: Final = ("producer", "processor", "api")
"""Commands whose last line ends in the words of `marketstream.failures`, for the operator."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    An expected error prints one line to standard error and gives the exit code 2.
    """
    given = make_parser().parse_args(arguments)
    try:
        return _run(given)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the output has closed the pipe. The interpreter must not write to it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if not _expected(error):
            raise
        words = f" {_failure(error).words}" if given.command in SERVICES else ""
        print(f"marketstream {given.command}: {error}{words}", file=sys.stderr)
        return WRONG_USE


def _run(given: Namespace) -> int:
    match given.command:
        case "local":
            return _local(given)
        case service if service in SERVICES:
            from marketstream.settings import Settings

            import_module(f"marketstream.{service}.main").main(Settings.from_environment())
            return 0
        case "tail":
            from marketstream.cli.tail import run_tail

            return run_tail(given)
        case "candles":
            from marketstream.cli.candles import run_candles

            return run_candles(given)
        case command:
            raise AssertionError(f"the parser accepts the command {command}, but nothing runs it")


def _local(given: Namespace) -> int:
    from marketstream.local.options import LocalOptions

    options = LocalOptions.of(
        manifest=given.manifest,
        exchange=given.exchange,
        symbols=given.symbols,
        recording=given.recording,
        store_as=given.store_as,
        speed=given.speed,
        port=given.port,
        data=given.data,
        ephemeral=given.ephemeral,
    )
    from marketstream.local.run import run_local

    return run_local(options)


def _expected(error: Exception) -> bool:
    """Return True if the message of the error is written for the user at the terminal."""
    from marketstream.exchanges.errors import ExchangeError
    from marketstream.kafka.errors import BrokerError
    from marketstream.local.errors import LocalError
    from marketstream.postgres.errors import StoreError
    from marketstream.redis.errors import LiveStoreError
    from marketstream.settings import SettingsError

    return isinstance(
        error,
        SettingsError | LocalError | StoreError | LiveStoreError | BrokerError | ExchangeError | OSError,
    )


def _failure(error: Exception) -> "Failure":
    """Return the code of an expected error."""
    from marketstream.exchanges.errors import ExchangeError, PermanentError, UnknownSymbolError
    from marketstream.failures import Failure
    from marketstream.kafka.errors import BrokerError, BrokerUnavailableError, TopicMissingError
    from marketstream.postgres.errors import MigrationError, StoreError, StoreUnavailableError
    from marketstream.redis.errors import LiveStoreError, LiveStoreUnavailableError
    from marketstream.settings import SettingsError

    if isinstance(error, SettingsError):
        return Failure("setting_invalid", error.variable)
    codes: tuple[tuple[type[Exception], str], ...] = (
        (BrokerUnavailableError, "kafka_unavailable"),
        (TopicMissingError, "topic_missing"),
        (BrokerError, "kafka_refused"),
        (StoreUnavailableError, "database_unavailable"),
        (MigrationError, "database_migration_failed"),
        (StoreError, "database_refused"),
        (LiveStoreUnavailableError, "redis_unavailable"),
        (LiveStoreError, "redis_refused"),
        (UnknownSymbolError, "symbol_unknown"),
        (PermanentError, "exchange_refused"),
        (ExchangeError, "exchange_unavailable"),
    )
    return Failure(next((code for kind, code in codes if isinstance(error, kind)), "system_error"))
