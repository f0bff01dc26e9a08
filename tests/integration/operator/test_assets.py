"""The search for the programs of the control plane, and the message when none is found."""

import os
import shutil
from pathlib import Path

import pytest

from tests.harness.needs import unavailable
from tests.harness.operator import build
from tests.harness.operator.assets import CONTROLLERS, SERVERS, AssetsMissingError, find_assets

GO = """#!/bin/sh
{}
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\n' >"$2"
chmod +x "$2"
"""


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the programs and without Go."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    (tmp_path / "path").mkdir()


@pytest.fixture
def reports() -> list[str]:
    return []


def _put(folder: Path, *names: str, content: str = "#!/bin/sh\n") -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(content)
        (folder / name).chmod(0o755)
    return folder


def _put_go(folder: Path, before: str = "") -> None:
    _put(folder / "path", "go", content=GO.format(before))
    for program in ("sh", "sleep", "chmod"):
        found = shutil.which(program, path=os.defpath)
        assert found is not None
        (folder / "path" / program).symlink_to(found)


def test_the_given_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reports: list[str]) -> None:
    given = _put(tmp_path / "given", *SERVERS, CONTROLLERS)
    _put(tmp_path / "path", *SERVERS, CONTROLLERS)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(given))

    found = find_assets(reports.append)

    assert found.kube_apiserver == given / "kube-apiserver"
    assert found.kube_controller_manager == given / CONTROLLERS


def test_the_path_comes_next(tmp_path: Path, reports: list[str]) -> None:
    _put(tmp_path / "path", *SERVERS, CONTROLLERS)

    assert find_assets(reports.append).etcd == tmp_path / "path" / "etcd"


def test_a_kubectl_alone_on_the_path_is_not_mixed_with_built_servers(tmp_path: Path, reports: list[str]) -> None:
    _put(tmp_path / "path", "kubectl")
    _put_go(tmp_path)

    assert find_assets(reports.append).kubectl == build.folder() / "kubectl"


def test_what_is_nowhere_is_built_once(tmp_path: Path, reports: list[str]) -> None:
    _put_go(tmp_path)

    found = find_assets(reports.append)

    assert found.etcd == tmp_path / "cache" / "marketstream" / f"kubernetes-{build.version()}" / "bin" / "etcd"
    assert [path.name for path in found.etcd.parent.parent.iterdir() if path.name.startswith("build-")] == []
    assert len([report for report in reports if report.startswith("built ")]) == 4

    reports.clear()
    assert find_assets(reports.append) == found
    assert reports == []


def test_an_archive_of_envtest_gets_its_controller_manager_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reports: list[str]
) -> None:
    given = _put(tmp_path / "given", *SERVERS)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(given))
    _put_go(tmp_path)

    found = find_assets(reports.append)

    assert (found.etcd, found.kube_controller_manager) == (given / "etcd", build.folder() / CONTROLLERS)


def test_an_archive_of_envtest_will_do_without_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reports: list[str]
) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(_put(tmp_path / "given", *SERVERS)))

    found = find_assets(reports.append)

    assert found.kube_controller_manager is None
    assert CONTROLLERS in found.no_controllers


def test_without_go_it_is_said_where_they_were_looked_for(reports: list[str]) -> None:
    with pytest.raises(AssetsMissingError, match=r"KUBEBUILDER_ASSETS \(not set\), not on the PATH.*Install Go"):
        find_assets(reports.append)


def test_a_given_folder_without_them_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reports: list[str]
) -> None:
    _put(tmp_path / "path", *SERVERS)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "absent"))

    with pytest.raises(AssetsMissingError, match=r"KUBEBUILDER_ASSETS is .*absent"):
        find_assets(reports.append)


def test_a_failed_build_leaves_nothing_and_shows_what_go_said(tmp_path: Path, reports: list[str]) -> None:
    _put_go(tmp_path, "echo no such module; exit 1")

    with pytest.raises(AssetsMissingError, match="no such module"):
        find_assets(reports.append)

    assert list(build.folder().iterdir()) == []


def test_a_build_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reports: list[str]) -> None:
    monkeypatch.setattr(build, "LIMIT", 0.2)
    _put_go(tmp_path, "sleep 60")

    with pytest.raises(AssetsMissingError, match="took longer"):
        find_assets(reports.append)


def test_what_is_missing_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="nothing here"):
        unavailable("nothing here")


def test_what_is_missing_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="nothing here"):
        unavailable("nothing here")
