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
"""Seconds for which the same refused login is not logged again."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator and return its exit code. An expected error is one line on standard error."""
    given = make_parser().parse_args(arguments)
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


def make_parser() -> ArgumentParser:
    """Return the parser of `marketstream-operator` and its commands."""
    parser = ArgumentParser(
        prog="marketstream-operator",
        description="Run producers and processors for MarketStream resources in Kubernetes.",
        epilog="Settings are read from environment variables; docs/reference/operator.md lists them.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    run = commands.add_parser(
        "run", help="run the operator", description="Run until SIGTERM or Ctrl-C, inside or outside a cluster."
    )
    run.add_argument(
        "--kubeconfig",
        type=Path,
        metavar="FILE",
        help="kubeconfig file (default: KUBECONFIG, the pod's service account without --context, or ~/.kube/config)",
    )
    run.add_argument("--context", metavar="NAME", help="context in the kubeconfig (default: the current context)")
    return parser


def _quieten_libraries() -> None:
    """Silence the log lines of kopf and aiokafka that repeat what the operator reports itself.

    kopf logs every event, and both log every attempt that they will retry as an error. `cluster.watches` logs why
    watches have ended, and the status of a MarketStream reports an unavailable Kafka. Two kinds of lines still pass:
    kopf's about bugs in handlers, and aiokafka's about the reason for a refused login, which nothing else reports.
    """
    for name in ("kopf", "aiokafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("kopf.objects").setLevel(max(logging.WARNING, logging.getLogger().level))
    connecting = logging.getLogger("aiokafka.client")
    connecting.setLevel(logging.ERROR)
    connecting.addFilter(_RefusedLogins())


class _RefusedLogins(logging.Filter):
    """Passes only reasons for refused logins, each once in REFUSED_S seconds, because aiokafka retries all the time."""

    def __init__(self) -> None:
        super().__init__()
        self._logged_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        from marketstream.kafka.errors import REFUSED_LOGIN

        if not (isinstance(record.args, tuple) and record.args and isinstance(record.args[-1], REFUSED_LOGIN)):
            return False
        message, now = record.getMessage(), time.monotonic()
        if now - self._logged_at.get(message, now - REFUSED_S) < REFUSED_S:
            return False
        self._logged_at[message] = now
        return True


def _run(settings: OperatorSettings, kubeconfig: Path | None, context: str | None) -> None:
    from marketstream_operator.main import run

    async def until(stop: asyncio.Event) -> None:
        await run(settings, stop, kubeconfig, context)

    run_until_stopped(until)
