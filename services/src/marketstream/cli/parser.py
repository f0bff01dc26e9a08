"""The command line: its commands, options and help texts."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from argparse import _SubParsersAction

DATA: Final = Path(".marketstream")
"""Default data directory of a local run."""

INTERVALS: Final = ("10s", "1m", "5m", "15m", "1h", "4h", "1d")
"""The names of market/window.py, which --help does not import."""

_SERVICES: Final = {
    "producer": (
        "Publish the trades of an exchange to Kafka.",
        "Reads KAFKA_BOOTSTRAP, EXCHANGE and SYMBOLS from the environment.",
    ),
    "processor": (
        "Turn the trades in Kafka into candles in PostgreSQL and Redis.",
        "Reads KAFKA_BOOTSTRAP, DATABASE_URL, REDIS_URL, EXCHANGE and SYMBOLS from the environment.",
    ),
    "api": (
        "Serve candles and live state over HTTP and WebSocket.",
        "Reads DATABASE_URL, REDIS_URL, DEFAULT_EXCHANGE, HTTP_HOST and HTTP_PORT from the environment.",
    ),
}


def make_parser() -> ArgumentParser:
    """Return the parser of all commands; it stores the chosen command in `command`."""
    parser = ArgumentParser(
        prog="marketstream",
        description="Turn the trades of an exchange into exact candles, each provably complete or visibly marked.",
        epilog="Run `marketstream COMMAND --help` for the options of a command.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_local(commands)
    for name, (summary, environment) in _SERVICES.items():
        commands.add_parser(
            name,
            help=summary,
            description=f"{summary} {environment} Writes logs to standard error and serves /healthz, /readyz and "
            "/metrics on HTTP_PORT (default: 8000). Shuts down gracefully on SIGTERM.",
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
        "Run the whole pipeline on this machine, with its own Kafka, PostgreSQL and Redis.",
        "  marketstream local manifests/majors.yaml\n"
        "  marketstream local --exchange simulator --symbols BTCUSDT,ETHUSDT --port 8123\n"
        "  marketstream local --recording BTCUSDT-trades-2021-01-08.zip --as binance --speed max --ephemeral\n\n"
        "To use existing servers, set KAFKA_BOOTSTRAP, DATABASE_URL or REDIS_URL in the environment.",
    )
    parser.add_argument(
        "manifest", nargs="?", metavar="MANIFEST",
        help="YAML file of the MarketStream to run (default: manifests/majors.yaml)",
    )  # fmt: skip
    parser.add_argument(
        "--exchange", metavar="NAME",
        help="exchange to use instead of the manifest's: binance, simulator or replay (a replay needs no manifest)",
    )  # fmt: skip
    parser.add_argument(
        "--symbols",
        metavar="A,B",
        help="symbols to use instead of those of the manifest or recording",
    )
    parser.add_argument(
        "--recording", metavar="FILE",
        help="replay the trades of this file (.csv or .zip from Binance's public data, trades or aggTrades of spot or "
        "USD-M futures); implies --exchange replay",
    )  # fmt: skip
    parser.add_argument(
        "--as", dest="store_as", metavar="EXCHANGE",
        help="store the trades of a replay under the name of this exchange "
        "(default: replay, or binance-usdm for trades of USD-M futures)",
    )  # fmt: skip
    parser.add_argument(
        "--speed",
        metavar="N|max",
        help="replay N times as fast as recorded, or as fast as possible (default: 1)",
    )
    parser.add_argument(
        "--port", default="8000", metavar="PORT",
        help="port of the API; 0 picks a free port (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--data", type=Path, default=DATA, metavar="DIR",
        help="data directory of the servers; a restart resumes from it (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--ephemeral", action="store_true", help="use a temporary data directory, which is removed at the end"
    )


def _add_tail(commands: "_SubParsersAction[ArgumentParser]") -> None:
    parser = _add(
        commands,
        "tail",
        "Print the records of the trade topics as JSON lines.",
        "  marketstream tail BTCUSDT\n"
        "  marketstream tail --from-start --limit 100 --kind trades | jq '.trades[].price'\n\n"
        "The command joins no consumer group, so it does not affect the pipeline.",
    )
    parser.add_argument("symbols", nargs="*", metavar="SYMBOL", help="symbols to print (default: all)")
    parser.add_argument("--exchange", metavar="NAME", help="print only the topics of this exchange (default: all)")
    parser.add_argument(
        "--kind", choices=("trades", "heartbeat", "all"), default="all",
        help="records to print; records that cannot be decoded are always printed (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--from-start", action="store_true", help="start with the oldest record (default: print only new records)"
    )
    parser.add_argument("--limit", type=_above_zero, metavar="N", help="stop after N lines (default: run until Ctrl-C)")
    _add_data(parser, "KAFKA_BOOTSTRAP")


def _add_candles(commands: "_SubParsersAction[ArgumentParser]") -> None:
    parser = _add(
        commands,
        "candles",
        "Print the newest closed candles of a symbol as a table; incomplete candles are marked with the reason.",
        "  marketstream candles BTCUSDT\n  marketstream candles ethusdt --interval 1h --limit 24 --json",
    )
    parser.add_argument("symbol", metavar="SYMBOL", help="symbol, in upper or lower case")
    parser.add_argument(
        "--exchange",
        metavar="NAME",
        help="exchange of the symbol (default: DEFAULT_EXCHANGE, or the only exchange that has the symbol)",
    )
    parser.add_argument(
        "--interval", choices=INTERVALS, default="10s", help="length of the candles (default: %(default)s)"
    )
    parser.add_argument(
        "--limit", type=_above_zero, default=20, metavar="N", help="maximum number of candles (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON array, as the API returns it")
    _add_data(parser, "DATABASE_URL")


def _add_data(parser: ArgumentParser, variable: str) -> None:
    parser.add_argument(
        "--data", type=Path, metavar="DIR",
        help="connect to the local run with this data directory "
        f"(default: {variable} from the environment, otherwise {DATA})",
    )  # fmt: skip


def _above_zero(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


_above_zero.__name__ = "whole number above 0"  # argparse puts the name into "invalid … value"
