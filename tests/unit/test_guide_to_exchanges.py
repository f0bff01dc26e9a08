"""docs/how-to/add-an-exchange.md can be followed to the letter: its code works, and its changes fit the code."""

import re
import sys
from pathlib import Path
from typing import Any

import marketstream.exchanges
import pytest

from tests.harness.needs import PROJECT

TEXT = (PROJECT / "docs/how-to/add-an-exchange.md").read_text()
CODE = dict(re.findall(r"^`([\w/]+\.py)`:\n\n```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
PACKAGE = "services/src/marketstream/exchanges/toy/"


def changes() -> list[tuple[str, list[str]]]:
    """Each change of a file that exists: its path and the lines of the diff."""
    found = []
    path = ""
    for match in re.finditer(r"In\s+`((?:services|operator)/[\w/]+\.py)`|```diff\n(.*?)```", TEXT, re.DOTALL):
        path = match[1] or path
        if match[2]:
            found.append((path, match[2].splitlines()))
    return found


@pytest.mark.parametrize(("path", "diff"), changes())
def test_every_change_fits_the_file_that_it_names(path: str, diff: list[str]) -> None:
    """The file is as it is before the change, or after it: then somebody has followed the guide."""
    before, after = ("\n".join(line[1:] for line in diff if line[0] in kinds) for kinds in (" -", " +"))
    text = (PROJECT / path).read_text()
    assert before in text or after in text


async def test_the_toy_passes_its_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy").mkdir()
    for name in ("__init__.py", "exchange.py"):
        (tmp_path / "toy" / name).write_text(CODE[PACKAGE + name])
    monkeypatch.setattr(marketstream.exchanges, "__path__", [*marketstream.exchanges.__path__, str(tmp_path)])
    names: dict[str, Any] = {}
    try:
        exec(CODE["tests/unit/exchanges/toy/test_exchange.py"], names)  # noqa: S102 - the code of the guide
        tests = [test for name, test in names.items() if name.startswith("test_")]
        assert len(tests) == 6
        for test in tests:
            await test()
    finally:
        for module in [name for name in sys.modules if name.startswith("marketstream.exchanges.toy")]:
            del sys.modules[module]
