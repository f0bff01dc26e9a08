"""The allowed contexts, and the commands that load images into them. These tests need no cluster."""

import pytest

from tests.e2e.local import NotLocalError, loader


@pytest.fixture(autouse=True)
def _no_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MARKETSTREAM_IMAGE_LOAD", raising=False)


@pytest.mark.parametrize(
    ("context", "command"),
    [
        ("kind-marketstream", 'kind load docker-image --name marketstream "$EXPECTED_REF"'),
        ("k3d-two-words", 'k3d image import --cluster two-words "$EXPECTED_REF"'),
        ("minikube", 'minikube image load "$EXPECTED_REF"'),
        ("docker-desktop", "true"),
    ],
)
def test_local_contexts_have_a_way_for_images(context: str, command: str) -> None:
    assert loader(context) == command


def test_the_hook_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETSTREAM_IMAGE_LOAD", "load $EXPECTED_REF now")
    assert loader("offline-cluster") == "load $EXPECTED_REF now"
    monkeypatch.setenv("MARKETSTREAM_IMAGE_LOAD", "images/load")
    assert loader("offline-cluster") == 'images/load "$EXPECTED_REF"'


@pytest.mark.parametrize("context", ["", "production", "minikube-of-somebody", "gke_kind-cluster", "kind-"])
def test_others_are_refused(context: str) -> None:
    with pytest.raises(NotLocalError, match="only on kind-"):
        loader(context)


def test_a_hook_makes_no_context_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETSTREAM_IMAGE_LOAD", "true")
    with pytest.raises(NotLocalError):
        loader("production")
