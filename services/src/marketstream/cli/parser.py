"""The words of the command line, and what they mean."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from argparse import _SubParsersAction

DATA: Final = Path(".marketstream")
"""The data directory of a local run."""

INTERVALS: Final = ("10s", "1m", "5m", "15m", "1h", "4h", "1d")
"""The names of market/window.py, which is not imported for --help."""

_SERVICES: Final = {
    "producer": (
        "Hears the trades of an exchange and publishes them to Kafka.",
        "Takes KAFKA_BOOTSTRAP, EXCHANGE and SYMBOLS from the environment.",
    ),
    "processor": (
        "Makes candles of the trades in Kafka, in PostgreSQL and Redis.",
        "Takes KAFKA_BOOTSTRAP, DATABASE_URL, REDIS_URL, EXCHANGE and SYMBOLS from the environment.",
    ),
    "api": (
        "Serves candles and live state over HTTP.",
        "Takes DATABASE_URL, REDIS_URL, DEFAULT_EXCHANGE, HTTP_HOST and HTTP_PORT from the environment.",
    ),
}


def make_parser() -> ArgumentParser:
    """The parser of all commands; the chosen one stands in `command`."""
    parser = ArgumentParser(
        prog="marketstream",
        description="Trades in, exact candles out: each provably complete, or visibly marked.",
        epilog="`marketstream COMMAND --help` says more about a command.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_local(commands)
    for name, (summary, environment) in _SERVICES.items():
        commands.add_parser(
            name,
            help=summary,
            description=f"{summary} {environment} Logs go to standard error; /healthz, /readyz and /metrics are served "
            "on HTTP_PORT (8000 when not given). SIGTERM stops it in good order.",
        )
    _add_tail(commands)
    _add_candles(commands)
    return parser


def _add(commands: "_SubParsersAction[ArgumentParser]", name: str, summary: str, examples: str) -> ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"examples:\n{examples}",
        formatter_class=RawDescriptionHelpFormatter,
    )


def _add_local(commands: "_SubParsersAction[ArgumentParser]") -> None:
    parser = _add(
        commands,
        "local",
        "Runs the whole pipeline on this machine, with its own Kafka, PostgreSQL and Redis.",
        "  marketstream local manifests/majors.yaml\n"
        "  marketstream local --exchange simulator --symbols BTCUSDT,ETHUSDT --port 8123\n"
        "  marketstream local --recording BTCUSDT-trades-2021-01-08.zip --as binance --speed max --ephemeral\n\n"
        "Servers of your own are used where KAFKA_BOOTSTRAP, DATABASE_URL or REDIS_URL is in the environment.",
    )
    parser.add_argument(
        "manifest", nargs="?", metavar="MANIFEST",
        help="YAML file of the MarketStream to run (default: manifests/majors.yaml)",
    )  # fmt: skip
    parser.add_argument(
        "--exchange", metavar="NAME",
        help="binance, simulator or replay, instead of the manifest's; with replay the manifest is ignored",
    )  # fmt: skip
    parser.add_argument("--symbols", metavar="A,B", help="symbols, instead of the manifest's or the recording's")
    parser.add_argument(
        "--recording", metavar="FILE",
        help="replay the trades of this file (.csv or .zip of Binance's public data); means --exchange replay",
    )  # fmt: skip
    parser.add_argument(
        "--as", dest="store_as", metavar="EXCHANGE",
        help="store a replay under the name of this exchange (default: replay)",
    )  # fmt: skip
    parser.add_argument(
        "--speed",
        metavar="N|max",
        help="replay N times faster than it was recorded, or as fast as possible (default: 1)",
    )
    parser.add_argument(
        "--port", default="8000", metavar="PORT", help="port of the API, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--data", type=Path, default=DATA, metavar="DIR",
        help="where the servers keep their data, so that a restart goes on (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--ephemeral", action="store_true", help="keep data in a temporary directory, which is removed at the end"
    )


def _add_tail(commands: "_SubParsersAction[ArgumentParser]") -> None:
    parser = _add(
        commands,
        "tail",
        "Prints what comes into the topics of trades, a JSON object on each line.",
        "  marketstream tail BTCUSDT\n"
        "  marketstream tail --from-start --limit 100 --kind trades | jq '.trades[].price'\n\n"
        "It reads without a consumer group, so nothing of the pipeline notices.",
    )
    parser.add_argument("symbols", nargs="*", metavar="SYMBOL", help="symbols to print (default: all)")
    parser.add_argument("--exchange", metavar="NAME", help="only the topics of this exchange (default: any)")
    parser.add_argument(
        "--kind", choices=("trades", "heartbeat", "all"), default="all",
        help="records to print; what cannot be decoded is always printed (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--from-start", action="store_true", help="begin with what the topics hold (default: what comes)"
    )
    parser.add_argument(
        "--limit", type=_above_zero, metavar="N", help="end after N lines (default: go on until Ctrl-C)"
    )
    _add_data(parser, "KAFKA_BOOTSTRAP")


def _add_candles(commands: "_SubParsersAction[ArgumentParser]") -> None:
    parser = _add(
        commands,
        "candles",
        "Prints the newest closed candles of a symbol as a table; those not proven complete are marked.",
        "  marketstream candles BTCUSDT\n  marketstream candles ethusdt --interval 1h --limit 24 --json",
    )
    parser.add_argument("symbol", metavar="SYMBOL", help="in upper or lower case")
    parser.add_argument(
        "--exchange",
        metavar="NAME",
        help="exchange of the symbol (default: DEFAULT_EXCHANGE, or the only one there is)",
    )
    parser.add_argument(
        "--interval", choices=INTERVALS, default="10s", help="length of the candles (default: %(default)s)"
    )
    parser.add_argument(
        "--limit", type=_above_zero, default=20, metavar="N", help="how many at most (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print them as the API does, an array of JSON objects")
    _add_data(parser, "DATABASE_URL")


def _add_data(parser: ArgumentParser, variable: str) -> None:
    parser.add_argument(
        "--data", type=Path, metavar="DIR",
        help=f"read from the local run with this data directory (default: {variable} of the environment, else {DATA})",
    )  # fmt: skip


def _above_zero(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


_above_zero.__name__ = "whole number above 0"  # argparse puts it into "invalid … value"
