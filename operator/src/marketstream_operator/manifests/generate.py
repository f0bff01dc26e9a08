"""Writes what follows from code: the CRD and the rules of the roles, which the chart takes, and tables of the
documentation. `make generate`; `--check` compares."""

import argparse
import difflib
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any, Final, get_args

import yaml

from marketstream_operator.manifests import reference
from marketstream_operator.manifests.crd import crd
from marketstream_operator.manifests.roles import AGGREGATE, PERMISSIONS, Scope

FILES: Final = Path("charts/marketstream/files")
"""Where they are kept, from the top of the repository."""

DOCUMENTS: Final = {
    Path("docs/reference/marketstream.md"): ("spec", "status"),
    Path("docs/reference/operator.md"): ("settings", "permissions"),
}
"""Documents with the names of the tables that they hold."""

_HEADER: Final = "# Made by `make generate` from operator/src/marketstream_operator/{source}: change that, not this.\n"


def crd_yaml() -> str:
    """crd.yaml: what kubectl applies."""
    return _HEADER.format(source="{resource/spec,resource/status,manifests/rules}.py") + _dump(crd())


def roles_yaml() -> str:
    """roles.yaml: the rules by scope, each with the reason why, for the templates of the chart."""
    return _HEADER.format(source="manifests/roles.py") + "".join(_roles())


def _roles() -> Iterator[str]:
    for scope in get_args(Scope):
        yield f"{scope}:\n"
        for permission in PERMISSIONS:
            if permission.scope == scope:
                yield f"  # {permission.why}\n" + indent(_dump([permission.rule()]), "  ")
    yield "# For people: `view` is added to the cluster's role view, `edit` to edit and admin.\n"
    yield "aggregate:\n"
    for role, rules in AGGREGATE.items():
        yield f"  {role}:\n" + indent(_dump(list(rules)), "    ")


class _Dumper(yaml.SafeDumper):
    """Without aliases: the same rule twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _dump(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=116)
    return text


def main() -> int:
    """Writes the files; with --check changes nothing and is 1, with the differences, when one is not as it should."""
    parser = argparse.ArgumentParser(prog="python -m marketstream_operator.manifests.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail when a file differs")
    check = parser.parse_args().check
    differs = False
    files = {FILES / "crd.yaml": crd_yaml(), FILES / "roles.yaml": roles_yaml()}
    documents = {path: reference.filled(path.read_text(encoding="utf-8"), tables) for path, tables in DOCUMENTS.items()}
    for path, wanted in (files | documents).items():
        if check:
            differs |= _differs(path, wanted)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted, encoding="utf-8")
    return int(differs)


def _differs(path: Path, wanted: str) -> bool:
    found = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = difflib.unified_diff(
        found.splitlines(keepends=True), wanted.splitlines(keepends=True), f"{path}", "by make generate"
    )
    sys.stdout.writelines(lines)
    if found != wanted:
        sys.stdout.write(f"{path} is not what the code says: run make generate and commit it\n")
    return found != wanted


if __name__ == "__main__":
    sys.exit(main())
