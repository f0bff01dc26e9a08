"""The command `marketstream-operator`."""

import asyncio
import logging
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from marketstream.service import run_until_stopped
from marketstream.settings import SettingsError
from marketstream.telemetry import configure_logging

from marketstream_operator.kube.election import LeaseLostError
from marketstream_operator.kube.login import LoginError
from marketstream_operator.settings import OperatorSettings

WRONG_USE = 2
LEASE_LOST = 3

REFUSED_S: Final = 600.0
"""Seconds for which the same refusal of a login is not told again."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the operator; its exit code. An expected error is one line on standard error."""
    parser = ArgumentParser(
        prog="marketstream-operator",
        description="Makes running producer/processor pairs of MarketStream resources.",
        epilog="Settings are read from the environment: docs/reference/operator.md lists them.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    run = commands.add_parser(
        "run", help="run the operator", description="Runs until SIGTERM or Ctrl-C, in a cluster or outside of it."
    )
    run.add_argument("--kubeconfig", type=Path, metavar="FILE", help="instead of KUBECONFIG or the pod's account")
    run.add_argument("--context", metavar="NAME", help="of the kubeconfig (default: the current one)")
    given = parser.parse_args(arguments)
    try:
        settings = OperatorSettings.from_environment()
        settings.check()
        configure_logging(settings.log_level, settings.log_format)
        _quieten_libraries()
        _run(settings, given.kubeconfig, given.context)
    except (SettingsError, LoginError, OSError) as error:
        print(f"marketstream-operator: {error}", file=sys.stderr)
        return WRONG_USE
    except LeaseLostError as error:
        print(f"marketstream-operator: {error}", file=sys.stderr)
        return LEASE_LOST
    return 0


def _quieten_libraries() -> None:
    """kopf tells of every event that it hands over, and calls every attempt that it will repeat an error, as aiokafka
    does. Why watches have ended is told by watches.py, a bug in a handler by kopf; that Kafka is away, by a status. Why
    Kafka refuses a login is told by nobody but aiokafka."""
    for name in ("kopf", "aiokafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("kopf.objects").setLevel(max(logging.WARNING, logging.getLogger().level))
    connecting = logging.getLogger("aiokafka.client")
    connecting.setLevel(logging.ERROR)
    connecting.addFilter(_RefusedLogins())


class _RefusedLogins(logging.Filter):
    """Lets pass why a login is refused, and that once in a while: it is tried again and again."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        from marketstream.kafka.errors import REFUSED_LOGIN

        if not (isinstance(record.args, tuple) and record.args and isinstance(record.args[-1], REFUSED_LOGIN)):
            return False
        message, now = record.getMessage(), time.monotonic()
        if now - self._told.get(message, now - REFUSED_S) < REFUSED_S:
            return False
        self._told[message] = now
        return True


def _run(settings: OperatorSettings, kubeconfig: Path | None, context: str | None) -> None:
    from marketstream_operator.main import run

    async def until(stop: asyncio.Event) -> None:
        await run(settings, stop, kubeconfig, context)

    run_until_stopped(until)
