"""The API server of these tests is a real one, which can be broken and repaired."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx
import pytest

from tests.harness.operator.apiserver import ApiServer
from tests.harness.operator.kubectl import KubectlError


async def test_kubectl_makes_and_shows_objects(apiserver: ApiServer, namespace: str) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"key": "value"}}

    await apiserver.kubectl("apply", "--namespace", namespace, "-f", "-", input=json.dumps(manifest))

    shown = await apiserver.kubectl("get", "configmap", "one", "--namespace", namespace, "-o", "json")
    assert json.loads(shown)["data"] == {"key": "value"}


async def test_kubectl_says_why_it_fails(apiserver: ApiServer, namespace: str) -> None:
    with pytest.raises(KubectlError, match='configmaps "absent" not found'):
        await apiserver.kubectl("get", "configmap", "absent", "--namespace", namespace)


async def test_pods_can_be_made(apiserver: ApiServer, namespace: str) -> None:
    await apiserver.kubectl("run", "one", "--image=none", "--namespace", namespace)

    assert "Pending" in await apiserver.kubectl("get", "pod", "one", "--namespace", namespace)


async def test_namespaces_differ(apiserver: ApiServer) -> None:
    assert await apiserver.namespace() != await apiserver.namespace()


@pytest.fixture
async def widgets(apiserver: ApiServer) -> AsyncIterator[str]:
    """Return the path of an API group with the kind Widget, which is defined for this test."""
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    spec = {"group": "tests.example", "scope": "Namespaced", "names": names, "versions": [version]}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.tests.example"},
        "spec": spec,
    }
    await apiserver.kubectl("apply", "-f", "-", input=json.dumps(definition))
    await apiserver.serves("/apis/tests.example/v1/widgets")
    yield "/apis/tests.example/v1"
    await apiserver.kubectl("delete", "crd", "widgets.tests.example")


async def _make_widget(apiserver: ApiServer, path: str, **metadata: Any) -> None:
    widget = {"apiVersion": "tests.example/v1", "kind": "Widget", "metadata": {"name": "one", **metadata}}
    await apiserver.request("POST", path, widget)


async def test_a_namespace_is_deleted_with_its_custom_resources(apiserver: ApiServer, widgets: str) -> None:
    namespace = await apiserver.namespace()
    path = f"{widgets}/namespaces/{namespace}/widgets"
    await _make_widget(apiserver, path, finalizers=["tests.example/held"])

    await apiserver.delete_namespace(namespace)

    assert (await apiserver.request("GET", path))["items"] == []


async def test_custom_resources_are_served_after_a_restart(apiserver: ApiServer, widgets: str, namespace: str) -> None:
    await apiserver.stop_server()
    await apiserver.start_server()

    await _make_widget(apiserver, f"{widgets}/namespaces/{namespace}/widgets")


async def test_a_service_account_may_do_what_its_role_says(apiserver: ApiServer, namespace: str) -> None:
    user = await apiserver.service_account(namespace, "reader")
    assert user == f"system:serviceaccount:{namespace}:reader"
    with pytest.raises(KubectlError, match="forbidden"):
        await apiserver.kubectl("get", "configmaps", "--namespace", namespace, user=user)

    role = ("create", "role", "reader", "--verb=get,list", "--resource=configmaps", "--namespace", namespace)
    await apiserver.kubectl(*role)
    binding = ("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace}:reader")
    await apiserver.kubectl(*binding, "--namespace", namespace)

    await _eventually(lambda: apiserver.kubectl("get", "configmaps", "--namespace", namespace, user=user))
    with pytest.raises(KubectlError, match="forbidden"):
        await apiserver.kubectl("create", "configmap", "one", "--namespace", namespace, user=user)


async def test_a_restart_keeps_the_address_the_data_and_the_tokens(apiserver: ApiServer, namespace: str) -> None:
    user = await apiserver.service_account(namespace, "one")
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    version = (await apiserver.request("GET", path))["metadata"]["resourceVersion"]
    url = apiserver.url
    async with apiserver.watch(path, version) as events:
        await apiserver.request("POST", path, {"metadata": {"name": "before"}})
        assert (await anext(events))["object"]["metadata"]["name"] == "before"

        await apiserver.stop_server()

        with pytest.raises(httpx.TransportError):
            await anext(events)
    with pytest.raises(httpx.ConnectError):
        await apiserver.request("GET", path)

    await apiserver.start_server()

    assert apiserver.url == url
    with pytest.raises(httpx.HTTPStatusError, match="forbidden"):
        await apiserver.request("GET", path, user=user)
    # A version from before the restart is mostly too old by now: the server remembers no earlier events.
    listed = await apiserver.request("GET", path)
    assert [item["metadata"]["name"] for item in listed["items"]] == ["before"]
    async with asyncio.timeout(10), apiserver.watch(path, listed["metadata"]["resourceVersion"]) as events:
        await apiserver.request("POST", path, {"metadata": {"name": "after"}})
        assert (await anext(events))["object"]["metadata"]["name"] == "after"


async def test_a_paused_server_answers_later(apiserver: ApiServer, namespace: str) -> None:
    apiserver.pause()
    answer = asyncio.create_task(apiserver.request("GET", f"/api/v1/namespaces/{namespace}"))
    await asyncio.sleep(0.3)
    assert not answer.done()

    apiserver.resume()

    assert (await answer)["metadata"]["name"] == namespace


async def test_restore_mends_a_killed_server(apiserver: ApiServer, namespace: str) -> None:
    await apiserver.stop_server()

    await apiserver.restore()

    assert (await apiserver.request("GET", f"/api/v1/namespaces/{namespace}"))["metadata"]["name"] == namespace


async def test_the_garbage_collector_deletes_what_a_deleted_object_owns(apiserver: ApiServer, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    owner = await apiserver.request("POST", path, {"metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    child = {"metadata": {"name": "child", "ownerReferences": [reference]}}
    await apiserver.request("POST", path, child)

    async with apiserver.controller_manager("garbage-collector-controller"):
        await apiserver.request("DELETE", f"{path}/owner")

        async def gone() -> None:
            assert (await apiserver.request("GET", path))["items"] == []

        await _eventually(gone, 3 * 30)  # it discovers new kinds every 30 s


async def _eventually(attempt: Callable[[], Coroutine[Any, Any, object]], limit: float = 20.0) -> None:
    deadline = time.monotonic() + limit
    while True:
        try:
            await attempt()
        except (AssertionError, KubectlError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return
