"""The images: rules for their Dockerfiles, and a wheel of every locked dependency for both architectures."""

import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from tests.chart.helm import PROJECT
from tests.harness.needs import unavailable

IMAGES = {"services": "marketstream", "operator": "marketstream-operator"}
PYTHON = (3, 11)
GLIBC = range(17, 29)
"""Minor versions of glibc 2. Debian's is newer than 2.28 and accepts wheels for every older one."""

OLD_NAMES = {17: "manylinux2014", 12: "manylinux2010"}


def dockerfile(image: str) -> str:
    return (PROJECT / image / "Dockerfile").read_text("utf-8")


def stages(image: str) -> list[tuple[str, str, str]]:
    """Return the base, the name and the text of each stage."""
    texts = re.split(r"^(?=FROM )", dockerfile(image), flags=re.MULTILINE)[1:]
    heads = [re.match(r"FROM (\S+)(?: AS (\S+))?", text) for text in texts]
    return [(head[1], head[2] or "", text) for head, text in zip(heads, texts, strict=True) if head]


@pytest.mark.parametrize("image", IMAGES)
def test_only_python_slim_is_needed(image: str) -> None:
    names = {name for _, name, _ in stages(image)}
    assert {base for base, _, _ in stages(image)} - names == {"docker.io/library/python:3.11-slim"}
    assert set(re.findall(r"--from=(\S+)", dockerfile(image))) <= names


@pytest.mark.parametrize("image", IMAGES)
def test_the_last_stage_is_minimal_and_not_root(image: str) -> None:
    by_name = {name: (base, text) for base, name, text in stages(image)}
    base, last = by_name[""]
    while base in by_name:
        base, text = by_name[base]
        last = text + last
    assert "USER 10001:10001" in last
    assert re.findall(r"COPY .*", last) == ["COPY --from=build /app /app"]
    assert not re.search(r"\b(pip|apt|apt-get|uv|npm) ", last)
    for label in ("title", "description", "licenses", "vendor", "version", "revision", "created", "source", "url"):
        assert f"org.opencontainers.image.{label}=" in last


@pytest.mark.parametrize(("image", "package"), IMAGES.items())
def test_installed_packages_are_locked(image: str, package: str) -> None:
    for line in re.findall(r"uv sync .*", dockerfile(image)):
        assert {"--frozen", "--no-dev", "--no-editable", f"--package {package}"} <= set(
            re.findall(r"--package \S+|--[\w-]+", line)
        )
        assert "--extra" not in line


@pytest.mark.parametrize("image", IMAGES)
def test_the_image_holds_its_licence(image: str) -> None:
    """The wheel takes the licence from the folder of its package, so that the build must have it there."""
    for folder in ("services", "operator")[: 1 + (image == "operator")]:
        copied = f"COPY {folder}/LICENSE {folder}/NOTICE {folder}/README.md {folder}/"
        assert dockerfile(image).index(copied) < dockerfile(image).rindex("RUN uv sync")


@pytest.fixture(scope="module")
def lock() -> dict[str, Any]:
    return tomllib.loads((PROJECT / "uv.lock").read_text("utf-8"))


def exported(package: str, uv: Path) -> list[tuple[str, str]]:
    """Return names and versions of the packages in the image of this package."""
    command = [uv, "export", "--frozen", "--no-dev", "--no-hashes", "--no-emit-workspace", "--package", package]
    text = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    return re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)


def tags(machine: str) -> set[Tag]:
    platforms = [
        name for minor in GLIBC for name in (f"manylinux_2_{minor}_{machine}", f"{OLD_NAMES.get(minor)}_{machine}")
    ]
    return set(chain(cpython_tags(PYTHON, platforms=platforms), compatible_tags(PYTHON, "cp311", platforms)))


@pytest.mark.parametrize("package", IMAGES.values())
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_dependency_has_a_wheel(lock: dict[str, Any], package: str, machine: str) -> None:
    uv = PROJECT / ".venv" / "bin" / "uv"
    if not uv.exists():
        unavailable("The environment has no uv, because make did not create it: run make check.")
    usable, wheels = tags(machine), {(each["name"], each["version"]): each for each in lock["package"]}
    wanted = exported(package, uv)
    assert len(wanted) > 10
    missing = [
        f"{name} {version}"
        for name, version in wanted
        if not any(
            parse_wheel_filename(wheel["url"].rpartition("/")[2])[3] & usable
            for wheel in wheels[name, version].get("wheels", ())
        )
    ]
    assert not missing, "an image for this machine would need a compiler"
