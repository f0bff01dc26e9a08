"""The proxy of the API forwards and records requests, and breaks those that a test chooses."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.harness.operator.apiserver import ApiServer
from tests.harness.operator.faults import Match
from tests.harness.operator.proxy import Proxy
from tests.harness.operator.requests import Resource
from tests.harness.operator.servers import trust


@pytest.fixture
async def client(apiserver: ApiServer, proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    """An admin who uses the proxy."""
    headers = {"Authorization": f"Bearer {apiserver.token()}"}
    async with httpx.AsyncClient(
        base_url=proxy.url, verify=trust(apiserver.certificate), headers=headers, timeout=10, trust_env=False
    ) as client:
        yield client


@pytest.fixture
def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


@asynccontextmanager
async def _watch(client: httpx.AsyncClient, path: str) -> AsyncIterator[AsyncIterator[Any]]:
    version = (await client.get(path)).json()["metadata"]["resourceVersion"]
    query = {"watch": "true", "resourceVersion": version}
    async with client.stream("GET", path, params=query) as response:
        assert response.status_code == 200
        yield (json.loads(line) async for line in response.aiter_lines())


async def _make(client: httpx.AsyncClient, path: str, name: str) -> httpx.Response:
    return await client.post(path, json={"metadata": {"name": name}})


async def test_kubectl_works_through_it(apiserver: ApiServer, proxy: Proxy, namespace: str) -> None:
    await apiserver.kubectl("create", "configmap", "one", "--namespace", namespace, server=proxy.url)

    assert "one" in await apiserver.kubectl("get", "configmaps", "--namespace", namespace)
    (request,) = proxy.mutating()
    assert request.resource == Resource("", "v1", namespace, "configmaps")
    assert (request.method, request.status, request.by_fault) == ("POST", 201, False)
    assert request.user_agent.startswith("kubectl")


async def test_bodies_are_kept(proxy: Proxy, client: httpx.AsyncClient, path: str) -> None:
    await _make(client, path, "one")

    (request,) = proxy.mutating()
    assert request.content_type == "application/json"
    assert request.json == {"metadata": {"name": "one"}}


async def test_events_pass_as_they_come(proxy: Proxy, client: httpx.AsyncClient, path: str) -> None:
    async with asyncio.timeout(10), _watch(client, path) as events:
        for name in ("one", "two"):
            await _make(client, path, name)
            assert (await anext(events))["object"]["metadata"]["name"] == name

    (request,) = await proxy.seen(Match(path=path, watch=True))
    assert not request.mutating
    assert request.query["watch"] == "true"


async def test_refusals_reach_the_client_and_not_the_server(proxy: Proxy, client: httpx.AsyncClient, path: str) -> None:
    fault = proxy.answer(409, "POST", "/configmaps$", count=2)

    answers = [await _make(client, path, "one") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [409, 409, 201]
    assert answers[0].json()["reason"] == "Conflict"
    assert fault.hits == 2
    assert [request.by_fault for request in proxy.mutating()] == [True, True, False]


async def test_a_throttle_says_when_to_come_again(proxy: Proxy, client: httpx.AsyncClient, path: str) -> None:
    with proxy.answer(429, retry_after=3):
        refused = await client.get(path)

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3")
    assert (await client.get(path)).status_code == 200


async def test_a_lost_answer_has_been_done(proxy: Proxy, client: httpx.AsyncClient, path: str) -> None:
    proxy.lose("POST", count=1)

    with pytest.raises(httpx.TransportError):
        await _make(client, path, "one")

    assert (await client.get(f"{path}/one")).status_code == 200
    assert [(request.status, request.by_fault) for request in proxy.mutating()] == [(201, True)]


async def test_a_delay_delays(proxy: Proxy, client: httpx.AsyncClient, path: str) -> None:
    proxy.delay(0.3, count=1)
    started = time.monotonic()

    assert (await client.get(path)).status_code == 200

    assert time.monotonic() - started >= 0.3


async def test_a_frozen_watch_is_silent_until_it_thaws(proxy: Proxy, client: httpx.AsyncClient, path: str) -> None:
    async with asyncio.timeout(10), _watch(client, path) as events:
        with proxy.freeze(watch=True):
            await _make(client, path, "one")
            event = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0.3)
            assert not event.done()

        assert (await event)["object"]["metadata"]["name"] == "one"


async def test_a_frozen_request_is_not_answered(proxy: Proxy, client: httpx.AsyncClient, path: str) -> None:
    with proxy.freeze("GET"):
        answer = asyncio.create_task(client.get(path))
        (request,) = await proxy.seen(Match("GET"))
        await asyncio.sleep(0.3)
        assert not answer.done()
        assert request.status is None

    assert (await answer).status_code == 200


async def test_cut_connections_break_watches(proxy: Proxy, client: httpx.AsyncClient, path: str) -> None:
    async with asyncio.timeout(10), _watch(client, path) as events:
        assert proxy.cut() >= 1

        with pytest.raises(httpx.TransportError):
            await anext(events)
    assert (await client.get(path)).status_code == 200


async def test_an_expired_watch_is_told_so_and_ends(proxy: Proxy, client: httpx.AsyncClient, path: str) -> None:
    async with asyncio.timeout(10), _watch(client, path) as events:
        await _make(client, path, "one")
        assert (await anext(events))["type"] == "ADDED"

        assert proxy.expire("/secrets") == 0
        assert proxy.expire("/configmaps") == 1

        told = await anext(events)
        assert (told["type"], told["object"]["code"], told["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert [event async for event in events] == []


async def test_a_server_that_is_gone_breaks_the_connection(
    apiserver: ApiServer, client: httpx.AsyncClient, path: str
) -> None:
    async with asyncio.timeout(20):
        async with _watch(client, path) as events:
            await apiserver.stop_server()
            with pytest.raises(httpx.TransportError):
                await anext(events)
        with pytest.raises(httpx.TransportError):
            await client.get(path)

    await apiserver.start_server()  # has a limit of its own

    assert (await client.get(path)).status_code == 200


async def test_what_is_not_seen_is_reported_with_what_was(proxy: Proxy, client: httpx.AsyncClient, path: str) -> None:
    await client.get(path)

    with pytest.raises(TimeoutError, match=f"GET {path} -> 200"):
        await proxy.seen(Match("POST"), limit=0.1)


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/version", Resource()),
        ("/api/v1", Resource("", "v1")),
        ("/api/v1/namespaces", Resource("", "v1", "", "namespaces")),
        ("/api/v1/namespaces/a", Resource("", "v1", "", "namespaces", "a")),
        ("/api/v1/namespaces/a/finalize", Resource("", "v1", "", "namespaces", "a", "finalize")),
        ("/api/v1/namespaces/a/pods", Resource("", "v1", "a", "pods")),
        ("/api/v1/namespaces/a/pods/b/log", Resource("", "v1", "a", "pods", "b", "log")),
        ("/apis/apps/v1/deployments", Resource("apps", "v1", "", "deployments")),
        ("/apis/a.example/v1/namespaces/n/c/d/status", Resource("a.example", "v1", "n", "c", "d", "status")),
    ],
)
def test_paths_name_resources(path: str, resource: Resource) -> None:
    assert Resource.of(path) == resource
