"""The help texts, and arguments that the parser rejects."""

import subprocess
import sys

import pytest
from marketstream.cli.parser import INTERVALS, make_parser
from marketstream.market.window import INTERVALS as EVERY_INTERVAL

COMMANDS = ("local", "producer", "processor", "api", "tail", "candles")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help_page(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        make_parser().parse_args([command, "--help"])
    assert caught.value.code == 0
    assert f"usage: marketstream {command}" in capsys.readouterr().out


def test_the_help_names_every_command() -> None:
    shown = make_parser().format_help()
    assert all(f"  {command}" in shown for command in COMMANDS)


def test_help_imports_no_library() -> None:
    script = (
        "import sys, marketstream.cli.parser as p; p.make_parser().format_help();"
        "print(sorted({'asyncio', 'aiokafka', 'asyncpg', 'redis', 'fastapi', 'msgspec', 'yaml'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"


def test_the_intervals_are_those_of_the_market() -> None:
    assert set(INTERVALS) == set(EVERY_INTERVAL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["candles"], "the following arguments are required: SYMBOL"),
        (["candles", "BTCUSDT", "--interval", "7m"], "invalid choice: '7m'"),
        (["candles", "BTCUSDT", "--limit", "0"], "invalid whole number above 0 value: '0'"),
        (["tail", "--kind", "noise"], "invalid choice: 'noise'"),
    ],
)
def test_unknown_arguments_are_rejected(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        make_parser().parse_args(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
