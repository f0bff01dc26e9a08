"""The Python files of the repository, for checks of their text."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from tests.harness.needs import PROJECT

CODE: Final = ("services/src", "operator/src")


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield the path, relative to the repository, and the syntax tree of every module in these folders."""
    for folder in folders:
        for path in sorted((PROJECT / folder).rglob("*.py")):
            if "node_modules" not in path.parts:
                yield str(path.relative_to(PROJECT)), _parsed(path)


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))
