"""Generate README.md of the chart from README.md.in and the comments of values.yaml; with --check only compare it.

A comment describes the key below it. `## Title` begins a section; the section of the keys above the first title is
called General.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

CHART: Final = Path(__file__).parent / "marketstream"
README: Final = CHART / "README.md"
TEMPLATE: Final = CHART / "README.md.in"
PLACE: Final = "{{values}}"
"""Placeholder of the tables in the template."""

_KEY: Final = re.compile(r"^( *)([A-Za-z][\w-]*):(.*)$")


@dataclass(frozen=True, slots=True)
class Value:
    """A row of a table: the path of a key, its default, and its description."""

    path: str
    default: str
    text: str


def sections(source: str) -> dict[str, list[Value]]:
    """Return the rows of each section of a values.yaml, by the section's title."""
    defaults = yaml.safe_load(source)
    found: dict[str, list[Value]] = {"General": []}
    title = "General"
    comment: list[str] = []
    path: list[str] = []
    for line in source.splitlines():
        stripped = line.strip()
        if stripped.startswith("## "):
            title, comment = stripped[3:], []
            found[title] = []
        elif stripped.startswith("#"):
            comment.append(stripped[1:].strip())
        elif match := _KEY.match(line):
            del path[len(match[1]) // 2 :]
            path.append(match[2])
            value = _at(defaults, path)
            leaf = not isinstance(value, dict) or not value or match[2] in ("resources", "labels", "config")
            if leaf or comment:
                found[title].append(Value(".".join(path), _shown(value) if leaf else "", " ".join(comment)))
            comment = []
        else:
            comment = []
    return {title: _leaves(rows) for title, rows in found.items() if rows}


def _leaves(rows: list[Value]) -> list[Value]:
    """Return the rows without those inside a value that is shown whole."""
    kept: list[Value] = []
    for row in rows:
        if not any(whole.default and row.path.startswith(whole.path + ".") for whole in kept):
            kept.append(row)
    return kept


def _at(values: object, path: list[str]) -> object:
    for key in path:
        values = values[key] if isinstance(values, dict) else None
    return values


def _shown(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).replace("\n...\n", "").strip()
    return f"`{text}`"


def tables(source: str) -> str:
    """Return Markdown with a table for each section."""
    parts = []
    for title, rows in sections(source).items():
        parts += [f"### {title}", "", "| value | default | meaning |", "|---|---|---|"]
        parts += [f"| `{row.path}` | {row.default} | {row.text.replace('|', chr(92) + '|')} |" for row in rows]
        parts.append("")
    return "\n".join(parts).rstrip()


def readme() -> str:
    """Return the text that README.md should have."""
    return TEMPLATE.read_text("utf-8").replace(PLACE, tables((CHART / "values.yaml").read_text("utf-8")))


def main(arguments: list[str]) -> int:
    """Write README.md, or with --check compare it. Return the exit code: 1 if the file differs, else 0."""
    wanted = readme()
    if "--check" not in arguments:
        README.write_text(wanted, "utf-8")
        return 0
    if README.exists() and README.read_text("utf-8") == wanted:
        return 0
    sys.stderr.write(f"{README} is out of date: run make chart-docs\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
