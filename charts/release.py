"""Write into the chart where a release is published: its source repository and the registry of its images.

    python3 charts/release.py --source https://host/owner/name --ref v1.2.3 --registry host/owner/name

The addresses are not in the repository, so that a fork publishes under its own. Needs nothing but Python's own library:
the workflow of a release runs it on a bare runner.
"""

import argparse
import re
import shutil
import sys
from pathlib import Path
from typing import Final

CHART: Final = Path(__file__).parent / "marketstream"
LICENSE: Final = Path(__file__).parents[1] / "LICENSE"
RUNBOOKS: Final = "docs/how-to/monitor.md"
ICON: Final = "services/src/marketstream/api/static/icon.svg"
IMAGES: Final = ("services", "operator")


def with_metadata(chart: str, source: str, ref: str, registry: str) -> str:
    """Return Chart.yaml with home, sources, icon, links and images. Raises ValueError when it has a home already."""
    if re.search(r"^home:", chart, re.MULTILINE):
        raise ValueError("Chart.yaml names a home already: restore the file of the repository first")
    version = _only(r'^appVersion: "(.+)"$', chart)
    images = "".join(f"    - name: {name}\n      image: {registry}/{name}:{version}\n" for name in IMAGES)
    published = f"home: {source}\nsources: [{source}]\nicon: {source}/raw/{ref}/{ICON}\n"
    links = f"    - name: Documentation\n      url: {source}/tree/{ref}/docs\n"
    annotations = f"  artifacthub.io/images: |\n{images}  artifacthub.io/links: |\n{links}"
    return _replaced(r"^annotations:\n", f"{published}annotations:\n{annotations}", chart)


def with_images(values: str, registry: str) -> str:
    """Return values.yaml with the images of this registry."""
    for name in IMAGES:
        values = _replaced(rf"^( +repository: )marketstream/{name}$", rf"\g<1>{registry}/{name}", values)
    return values


def with_runbooks(values: str, source: str, ref: str) -> str:
    """Return values.yaml with the address of the page that describes the alerts."""
    return _replaced(r'^( +runbookUrl: )""$', rf'\g<1>"{source}/blob/{ref}/{RUNBOOKS}"', values)


def _only(pattern: str, text: str) -> str:
    found: list[str] = re.findall(pattern, text, re.MULTILINE)
    if len(found) != 1:
        raise ValueError(f"expected one line that matches {pattern}, found {len(found)}")
    return found[0]


def _replaced(pattern: str, replacement: str, text: str) -> str:
    _only(pattern, text)
    return re.sub(pattern, replacement, text, flags=re.MULTILINE)


def main(arguments: list[str]) -> None:
    """Change Chart.yaml and values.yaml in place, and put the licence beside them."""
    parser = argparse.ArgumentParser(description="Write the addresses of a release into the chart.")
    parser.add_argument("--source", required=True, help="address of the source repository")
    parser.add_argument("--ref", required=True, help="tag of the release in that repository")
    parser.add_argument("--registry", required=True, help="registry and path of the images")
    parser.add_argument("--chart", type=Path, default=CHART, help="folder of the chart (default: %(default)s)")
    given = parser.parse_args(arguments)
    chart, values = given.chart / "Chart.yaml", given.chart / "values.yaml"
    chart.write_text(with_metadata(chart.read_text("utf-8"), given.source, given.ref, given.registry), "utf-8")
    shutil.copy(LICENSE, given.chart)
    changed = with_runbooks(with_images(values.read_text("utf-8"), given.registry), given.source, given.ref)
    values.write_text(changed, "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
