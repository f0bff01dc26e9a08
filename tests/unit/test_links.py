"""Links between documents lead somewhere. Those inside docs/ are checked by `make docs` as well."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.harness.needs import PROJECT

LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(#[^)\s]*)?\)")
BLOCK = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")


def documents() -> Iterator[Path]:
    """The documents of the repository outside docs/."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=PROJECT, capture_output=True, text=True, check=True)
    yield from (PROJECT / path for path in listed.stdout.split() if not path.startswith("docs/"))


def anchors(document: Path) -> set[str]:
    """The anchors of the headings, as the host of the repository makes them."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", document.read_text()), re.MULTILINE)
    return {"#" + re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    broken = []
    for document in documents():
        for path, anchor in LINK.findall(CODE.sub("", BLOCK.sub("", document.read_text()))):
            target = (document.parent / path).resolve() if path else document
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{document.relative_to(PROJECT)}: {path}{anchor}")
    assert broken == []
