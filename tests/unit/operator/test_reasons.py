"""Every reason of a condition is in the documentation: programs rely on reasons."""

import ast
from collections.abc import Iterator
from pathlib import Path

import marketstream_operator

PACKAGE = Path(marketstream_operator.__file__).parent
DOCUMENT = Path(__file__).parents[3] / "docs/reference/marketstream.md"
PLACE = {"Found": 2, "Problem": 0, "Pause": 0, "TopicState": 1}
"""The position of the reason among the arguments of each class that carries one."""


def reasons() -> Iterator[str]:
    for module in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PLACE:
                given = node.args[PLACE[node.func.id] :][:1]
                yield from (each.value for each in given if isinstance(each, ast.Constant))
    yield from ("ImagePullFailed", "CrashLoop", "PodConfigError")


def test_every_reason_is_documented() -> None:
    found, text = set(reasons()), DOCUMENT.read_text()
    assert len(found) > 20
    assert sorted(reason for reason in found if f"`{reason}`" not in text) == []
