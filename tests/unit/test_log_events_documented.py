"""Log lines that the documentation tells people to look for are written by the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import marketstream
import marketstream_operator

from tests.harness.needs import PROJECT

QUOTED = re.compile(r"`([^`]+)` in the log|log: `([^`]+)`")


def _strings() -> Iterator[str]:
    for package in (marketstream, marketstream_operator):
        for module in Path(package.__path__[0]).rglob("*.py"):
            for node in ast.walk(ast.parse(module.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def test_every_quoted_log_event_is_written() -> None:
    pages = [page.read_text() for page in (PROJECT / "docs/how-to").glob("*.md")]
    quoted = {first or second for page in pages for first, second in QUOTED.findall(page)}
    written = "\n".join(_strings())
    assert len(quoted) > 5
    assert sorted(event for event in quoted if event not in written) == []
