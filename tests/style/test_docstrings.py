"""Gate: docstrings, and the strings under constants and attributes, begin with a sentence or a noun phrase.

Ruff checks the summary of docstrings (D205, D400), but neither their first word nor the strings under attributes.
"""

import ast
import re
from collections.abc import Iterable, Iterator

from tests.style.sources import CODE, modules

FORBIDDEN = {
    "What", "Whether", "Who", "Those", "That", "How", "Where",
    "Whatever", "Whenever", "Wherever", "Which", "Whichever", "Whoever", "Whose",
}  # fmt: skip
"""First words that make the summary a clause, which readers have to complete themselves."""


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every string that stands alone as a statement."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text.strip()


def fault(text: str) -> str | None:
    """Return the fault of a docstring's summary, or None."""
    summary, *rest = text.splitlines() or [""]
    beginning = re.match(r"[A-Za-z]*", summary)
    if beginning and beginning[0] in FORBIDDEN:
        return f"begins with {beginning[0]}"
    if rest and rest[0].strip():
        return "has a summary of more than one line"
    if not summary.endswith((".", "!", "?")):
        return "has a summary without a full stop"
    return None


def faults(sources: Iterable[tuple[str, ast.Module]]) -> list[str]:
    """Return one line for each docstring with a fault."""
    return [
        f"{path}:{line} {found}: {text[:60]!r}"
        for path, tree in sources
        for line, text in sorted(docstrings(tree))
        if (found := fault(text))
    ]


def test_docstrings_begin_with_a_summary() -> None:
    found = faults(modules(*CODE, "tests"))
    assert not found, "\n".join(found)


def test_the_gate_reports_faults() -> None:
    source = '''
"""Whether it is."""
A = 1
"""What is first."""
def f():
    """Return
    one."""
class B:
    """Noun"""
'''
    assert faults([("a.py", ast.parse(source))]) == [
        "a.py:2 begins with Whether: 'Whether it is.'",
        "a.py:4 begins with What: 'What is first.'",
        "a.py:6 has a summary of more than one line: 'Return\\n    one.'",
        "a.py:9 has a summary without a full stop: 'Noun'",
    ]


def test_the_gate_passes_good_docstrings() -> None:
    source = '"""Return one.\n\nMore of it."""\nA = 1\n"""Thatched roofs: what they are."""'
    assert len(list(docstrings(ast.parse(source)))) == 2
    assert not faults([("a.py", ast.parse(source))])
