"""The pages and their files: caching by version, and nothing from other hosts."""

import shutil
from pathlib import Path

import httpx
import pytest
from marketstream.api import page
from marketstream.api.page import STATIC


async def test_files_are_kept_as_long_as_their_version_is_current(api: httpx.AsyncClient) -> None:
    text = (await api.get("/dashboard")).text
    version = page.current_version()
    assert f'src="static/{version}/main.js"' in text
    assert "VERSION" not in text
    for path in (f"/static/{version}/main.js", f"/static/{version}/chart.js"):
        answer = await api.get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, page.FOREVER)
    for path in ("/static/0123456789ab/main.js", "/static/main.js"):
        answer = await api.get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
        unchanged = await api.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert unchanged.status_code == 304
    assert (await api.get(f"/static/{version}/nope.js")).headers["cache-control"] == "no-store"
    assert (await api.get("/dashboard")).headers["cache-control"] == "no-cache"


async def test_a_file_without_a_version_costs_no_look_at_the_others(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "STATIC", Path("/nowhere"))
    assert (await api.get("/static/main.js")).status_code == 200


@pytest.mark.parametrize("name", ["chart.js", "package-lock.json"])
def test_the_version_changes_with_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    copy = tmp_path / "static"
    shutil.copytree(STATIC, copy, ignore=shutil.ignore_patterns("node_modules"))
    before = page.current_version()
    monkeypatch.setattr(page, "STATIC", copy)
    assert page.current_version() == before, "content, not time or place: all replicas agree"
    (copy / name).write_text((copy / name).read_text() + "\n")
    assert page.current_version() != before


async def test_the_documentation_needs_nothing_from_elsewhere(api: httpx.AsyncClient) -> None:
    answer = await api.get("/docs")
    assert "swagger" in answer.text
    assert "//" not in answer.text, "no address of another host"
    policy = answer.headers["content-security-policy"]
    assert policy == (await api.get("/dashboard")).headers["content-security-policy"]
    assert "unsafe" not in policy
