"""The commands. Each command imports its modules when it runs, so that all of them start fast."""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module

from marketstream.cli.parser import make_parser

WRONG_USE = 2
INTERRUPTED = 130


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
        print(f"marketstream {given.command}: {error}", file=sys.stderr)
        return WRONG_USE


def _run(given: Namespace) -> int:
    match given.command:
        case "local":
            return _local(given)
        case "producer" | "processor" | "api" as service:
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
