"""Login to Kubernetes: which kubeconfig is used, and what its errors say."""

import os
from pathlib import Path

import pytest
from kubernetes.aio.client.configuration import Configuration
from marketstream_operator.kube.login import LoginError, configuration, kopf_login

from tests.harness.operator.kubeconfig import write_kubeconfig


@pytest.fixture(autouse=True)
def outside_a_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def kubeconfig(path: Path, server: str) -> Path:
    authority = path.with_suffix(".crt")
    file = write_kubeconfig(path, server, authority, "secret-token")
    authority.touch()
    return file


async def test_the_given_kubeconfig_comes_before_the_one_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = kubeconfig(tmp_path / "given", "https://given:6443")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "environment", "https://environment:6443")))
    assert (await configuration(given, None)).host == "https://given:6443"
    assert (await configuration(None, None)).host == "https://environment:6443"


async def test_of_several_files_in_kubeconfig_some_may_be_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there = kubeconfig(tmp_path / "there", "https://there:6443")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}{os.pathsep}{there}")
    assert (await configuration(None, None)).host == "https://there:6443"


async def test_without_any_kubeconfig_the_one_in_the_home_folder_is_used(tmp_path: Path) -> None:
    with pytest.raises(LoginError, match=r"the file .*/home/\.kube/config does not exist\. Give --kubeconfig"):
        await configuration(None, None)
    kubeconfig(tmp_path / "home" / ".kube" / "config", "https://home:6443")
    assert (await configuration(None, None)).host == "https://home:6443"


async def test_a_pod_logs_in_by_its_service_account_unless_a_context_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    kubeconfig(tmp_path / "home" / ".kube" / "config", "https://home:6443")
    with pytest.raises(LoginError, match="cannot log in to Kubernetes: "):  # there is no service account here
        await configuration(None, None)
    assert (await configuration(None, "tests")).host == "https://home:6443"


async def test_a_missing_context_is_named(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "file", "https://there:6443")
    with pytest.raises(LoginError, match="moon"):
        await configuration(file, "moon")


async def test_the_environment_does_not_choose_a_proxy_or_a_netrc(tmp_path: Path) -> None:
    login = await configuration(kubeconfig(tmp_path / "file", "https://there:6443"), None)
    assert login.client_session_kwargs == {"trust_env": False}


async def test_kopf_logs_in_as_the_client_does(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "file", "https://there:6443")
    login = await kopf_login(await configuration(file, None))
    assert (login.server, login.scheme, login.token) == ("https://there:6443", "Bearer", "secret-token")
    assert login.ca_path == str(file.with_suffix(".crt"))
    assert not login.insecure


async def test_kopf_logs_in_without_a_token_where_there_is_none() -> None:
    login = await kopf_login(Configuration(host="https://there:6443"))
    assert (login.scheme, login.token) == (None, None)
