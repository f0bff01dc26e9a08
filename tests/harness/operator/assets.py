"""The programs of a Kubernetes control plane: found where controller-runtime looks, or built once from Go modules."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.harness.operator import build

SERVERS = ("etcd", "kube-apiserver", "kubectl")
"""Programs that every test needs. All are taken from one folder, so that their versions match."""

CONTROLLERS = "kube-controller-manager"
"""A program that is searched separately, because the archives of setup-envtest lack it."""

Report = Callable[[str], None]


class AssetsMissingError(Exception):
    """The programs were not found and cannot be built. The message names the searched places and what to do."""


@dataclass(frozen=True, slots=True)
class Assets:
    """The paths of the programs. `no_controllers` is the reason for a missing controller manager."""

    etcd: Path
    kube_apiserver: Path
    kubectl: Path
    kube_controller_manager: Path | None
    no_controllers: str = ""


def find_assets(report: Report) -> Assets:
    """Find the programs in KUBEBUILDER_ASSETS, on the PATH or in the cache, else build them there if Go is installed.

    `report` is called with the progress of a build. Raises AssetsMissingError.
    """
    etcd, apiserver, kubectl = _find(SERVERS, report)
    try:
        (controllers,) = _find((CONTROLLERS,), report)
    except AssetsMissingError as error:
        return Assets(etcd, apiserver, kubectl, None, str(error))
    return Assets(etcd, apiserver, kubectl, controllers)


def _find(programs: Sequence[str], report: Report) -> list[Path]:
    return _in_given_folder(programs) or _on_path(programs) or _in_cache(programs) or _built(programs, report)


def _in_given_folder(programs: Sequence[str]) -> list[Path]:
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if not given:
        return []
    found = _programs_in(Path(given), programs)
    if not found and programs == SERVERS:
        raise AssetsMissingError(
            f"KUBEBUILDER_ASSETS is {given}, which lacks one of {', '.join(SERVERS)}. "
            "Set it to the folder that `setup-envtest use --print path` prints, or unset it to have them built."
        )
    return found


def _on_path(programs: Sequence[str]) -> list[Path]:
    found = [shutil.which(program) for program in programs]
    return [Path(program) for program in found if program] if all(found) else []


def _in_cache(programs: Sequence[str]) -> list[Path]:
    return _programs_in(build.folder(), programs)


def _built(programs: Sequence[str], report: Report) -> list[Path]:
    if shutil.which("go") is None:
        raise AssetsMissingError(
            f"Cannot find {', '.join(programs)} for tests with a real Kubernetes API: not in KUBEBUILDER_ASSETS "
            f"({os.environ.get('KUBEBUILDER_ASSETS') or 'not set'}), not on the PATH, not in {build.folder()}. "
            "Install Go, with which they are built once, or set KUBEBUILDER_ASSETS to a folder that holds them."
        )
    try:
        build.build(programs, report)
    except build.BuildError as error:
        raise AssetsMissingError(str(error)) from error
    return _in_cache(programs)


def _programs_in(folder: Path, programs: Sequence[str]) -> list[Path]:
    found = [folder / program for program in programs if os.access(folder / program, os.X_OK)]
    return found if len(found) == len(programs) else []
