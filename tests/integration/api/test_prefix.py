"""The API under a path of a real proxy, nginx."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from marketstream.settings import Settings
from websockets.asyncio.client import connect

from tests.harness.nginx import FORWARD_PREFIX, nginx
from tests.integration.api.serving import get, problem, ready, running, until

ASSET = re.compile(r'(?:href|src)="([^"#]+)"')

WAYS = {
    "stripped, with X-Forwarded-Prefix": ("", FORWARD_PREFIX, True),
    "stripped, with ROOT_PATH": ("/ms", "", True),
    "stripped, with ROOT_PATH and a slash": ("/ms/", "", True),
    "not stripped, with ROOT_PATH": ("/ms", "", False),
}


@pytest.fixture(params=WAYS.values(), ids=WAYS)
async def proxied(
    request: pytest.FixtureRequest, settings: Settings, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of nginx, which serves a ready API under /ms/."""
    root_path, directives, strips = request.param
    async with running(settings.but(root_path=root_path)) as direct:
        await until(lambda: ready(direct))
        api = str(direct.base_url).rstrip("/")
        async with nginx(tmp_path, api, directives, strips=strips) as url, httpx.AsyncClient(base_url=url) as client:
            yield client


async def test_everything_works_under_a_path(proxied: httpx.AsyncClient) -> None:
    assert await get(proxied, "/ms/symbols") == []
    document = await get(proxied, "/ms/openapi.json")
    assert document["servers"] == [{"url": "/ms"}]
    for page in ("/ms/dashboard", "/ms/docs"):
        answer = await proxied.get(page)
        assert answer.status_code == 200
        assets = [urljoin(page, asset) for asset in ASSET.findall(answer.text) if "//" not in asset]
        assert len(assets) > 2
        for asset in assets:
            assert asset.startswith("/ms/")
            found = await proxied.get(asset)
            assert found.status_code == 200 or "node_modules" in asset, asset


async def test_redirects_stay_under_the_path_and_the_public_name(proxied: httpx.AsyncClient) -> None:
    for path, target in (
        ("/ms/", "/ms/dashboard"),
        ("/ms/dashboard/", "/ms/dashboard"),
        ("/ms/docs/", "/ms/docs"),
        ("/ms/candles/?limit=1&symbol=%41", "/ms/candles?limit=1&symbol=%41"),
    ):
        answer = await proxied.get(path)
        assert answer.is_redirect
        assert urljoin(path, answer.headers["location"]) == target, "neither the name nor the port of the API"


async def test_a_problem_names_the_paths_that_the_client_sees(proxied: httpx.AsyncClient) -> None:
    body = await problem(proxied, "/ms/nope", 404, "not-found")
    assert body["detail"] == "There is no /ms/nope. /ms/docs lists all paths."
    body = await problem(proxied, "/ms/static/nope", 404, "not-found")
    assert body["detail"] == "There is no /ms/static/nope. /ms/docs lists all paths."


async def test_a_websocket_works_under_a_path(proxied: httpx.AsyncClient) -> None:
    async with connect(f"{proxied.base_url}/ms/ws".replace("http", "ws", 1), proxy=None) as websocket:
        await websocket.send('{"type": "ping"}')
        assert await websocket.recv() == '{"type":"pong"}'


async def test_probes_need_no_prefix(settings: Settings) -> None:
    async with running(settings.but(root_path="/ms")) as client:
        for path in ("/healthz", "/ms/healthz"):
            assert (await client.get(path)).text == "ok\n"
        assert (await client.get("/ms")).headers["location"] == "/ms/dashboard"


async def test_the_metrics_of_a_route_do_not_depend_on_the_prefix(settings: Settings) -> None:
    async with running(settings.but(root_path="/ms")) as client:
        await until(lambda: ready(client))
        await get(client, "/ms/symbols")
        assert 'requests_total{method="GET",route="/symbols",status="200"}' in (await client.get("/metrics")).text


async def test_the_setting_is_stronger_than_the_header(settings: Settings) -> None:
    async with running(settings.but(root_path="/ms")) as client:
        answer = await client.get("/nope", headers={"X-Forwarded-Prefix": "/other"})
        assert answer.json()["detail"].startswith("There is no /ms/nope")
