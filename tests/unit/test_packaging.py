"""Licence and metadata of the packages, the chart and the page: complete, and the same everywhere."""

import json
import tomllib
from typing import Any

import pytest
import yaml

from tests.harness.needs import PROJECT

MEMBERS = ("services", "operator")
STATIC = PROJECT / "services" / "src" / "marketstream" / "api" / "static"


def metadata(folder: str) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((PROJECT / folder / "pyproject.toml").read_text("utf-8"))["project"]
    return project


@pytest.mark.parametrize("name", ["LICENSE", "NOTICE"])
@pytest.mark.parametrize("member", MEMBERS)
def test_each_package_has_the_licence_of_the_project(member: str, name: str) -> None:
    """A wheel takes its licence from its own folder; a symbolic link would be broken in the source distribution."""
    copy = PROJECT / member / name
    assert not copy.is_symlink()
    assert copy.read_text("utf-8") == (PROJECT / name).read_text("utf-8")


@pytest.mark.parametrize("folder", [".", *MEMBERS])
def test_metadata_is_complete(folder: str) -> None:
    project = metadata(folder)
    assert project["license"] == "Apache-2.0"
    assert project["license-files"] == ["LICENSE", "NOTICE"]
    assert project["authors"] == [{"name": "The MarketStream Authors"}]
    assert (PROJECT / folder / project["readme"]).is_file()


def test_everything_has_one_version_and_one_licence() -> None:
    chart = yaml.safe_load((PROJECT / "charts" / "marketstream" / "Chart.yaml").read_text("utf-8"))
    page = json.loads((STATIC / "package.json").read_text("utf-8"))
    versions = {metadata(folder)["version"] for folder in (".", *MEMBERS)}
    assert versions == {chart["version"], chart["appVersion"], page["version"]}
    assert page["license"] == chart["annotations"]["artifacthub.io/license"] == "Apache-2.0"


def test_the_notice_names_every_package_of_the_page() -> None:
    lock = json.loads((STATIC / "package-lock.json").read_text("utf-8"))
    notice = (PROJECT / "NOTICE").read_text("utf-8").lower().replace(" ", "-")
    packages = [path.rpartition("node_modules/")[2] for path in lock["packages"] if path]
    assert packages
    assert [package for package in packages if package not in notice] == []
