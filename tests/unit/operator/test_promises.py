"""Every test that docs/contributing/operator-promises.md names exists."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
DOCUMENT = TESTS.parent / "docs/contributing/operator-promises.md"


def test_every_test_that_is_named_exists() -> None:
    table = DOCUMENT.read_text()
    named = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", table)
    assert len(named) > 60
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (TESTS / path).is_file() or (name and f"def {name}(" not in (TESTS / path).read_text())
    ]
    assert missing == []
