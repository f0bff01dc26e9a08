"""Every command and option is in the documentation."""

from argparse import ArgumentParser, _SubParsersAction

from marketstream.cli.parser import make_parser
from marketstream_operator.cli import make_parser as make_operator_parser

from tests.harness.needs import PROJECT

PAGE = PROJECT / "docs/reference/cli.md"


def _commands(parser: ArgumentParser) -> dict[str, ArgumentParser]:
    return dict(next(action for action in parser._actions if isinstance(action, _SubParsersAction)).choices)


def _undocumented(command: ArgumentParser, section: str) -> list[str]:
    options = [option for action in command._actions for option in action.option_strings if option != "--help"]
    return [option for option in options if option.startswith("--") and f"| `{option}" not in section]


def test_every_command_and_option_is_documented() -> None:
    text = PAGE.read_text()
    for name, command in _commands(make_parser()).items():
        assert f"| `{name}" in text
        section = text.partition(f"\n### `marketstream {name}`\n")[2].partition("\n## ")[0].partition("\n### ")[0]
        assert _undocumented(command, section) == []


def test_every_command_and_option_of_the_operator_is_documented() -> None:
    section = PAGE.read_text().partition("\n## `marketstream-operator`\n")[2].partition("\n## ")[0]
    for name, command in _commands(make_operator_parser()).items():
        assert f"| `{name}" in section
        assert _undocumented(command, section) == []
