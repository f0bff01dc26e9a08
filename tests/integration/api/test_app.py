"""The application as a whole: HEAD, other origins, compression, headers of every response, documentation and health."""

import gzip

import httpx
import pytest
from marketstream.postgres.reader import StoreReader
from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from tests.integration.api.serving import get

ORIGIN = {"Origin": "https://example.org"}


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading candles is an error of the service."""

    async def fail(*_: object) -> None:
        raise RuntimeError("broken by the test")

    monkeypatch.setattr(StoreReader, "candles", fail)


@pytest.mark.usefixtures("broken")
async def test_an_error_of_the_service_can_be_read_from_any_origin(filled: httpx.AsyncClient) -> None:
    answer = await filled.get("/candles", headers=ORIGIN)
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:marketstream:problem:internal-error")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    metrics = (await filled.get("/metrics")).text
    assert 'marketstream_api_requests_total{method="GET",route="/candles",status="500"}' in metrics


async def test_every_answer_can_be_read_from_any_origin(filled: httpx.AsyncClient) -> None:
    for method, path, status in (
        ("GET", "/symbols", 200),
        ("GET", "/nope", 404),
        ("GET", "/candles?limit=0", 422),
        ("GET", "/static/nope", 404),
        ("POST", "/price", 405),
        ("GET", "/openapi.json", 200),
        ("GET", "/docs", 200),
        ("GET", "/healthz", 200),
        ("GET", "/", 307),
    ):
        answer = await filled.request(method, path, headers=ORIGIN)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, "*"), path
        assert answer.headers["access-control-expose-headers"] == "Retry-After"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_preflight_with_headers_of_the_client_is_answered(api: httpx.AsyncClient, method: str) -> None:
    preflight = ORIGIN | {
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "x-request-id,authorization,traceparent",
    }
    answer = await api.options("/candles", headers=preflight)
    assert answer.status_code == 200, answer.text
    assert answer.headers["access-control-allow-origin"] == "*"
    allowed = answer.headers["access-control-allow-headers"].lower().replace(" ", "").split(",")
    assert {"x-request-id", "authorization", "traceparent"} <= set(allowed)
    assert method in answer.headers["access-control-allow-methods"]


async def test_json_is_not_stored(filled: httpx.AsyncClient) -> None:
    for path in ("/price", "/candles", "/current-candle", "/symbols", "/openapi.json", "/nope"):
        assert (await filled.get(path)).headers["cache-control"] == "no-store", path


async def test_large_answers_are_compressed_for_clients_that_understand_it(filled: httpx.AsyncClient) -> None:
    plain = await filled.get("/candles?limit=60", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    async with filled.stream("GET", "/candles?limit=60", headers={"Accept-Encoding": "gzip"}) as answer:
        body = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["vary"]
    assert len(body) < len(plain.content) / 4
    assert gzip.decompress(body) == plain.content


async def test_files_and_documents_are_compressed(filled: httpx.AsyncClient) -> None:
    for path in ("/static/main.js", "/static/style.css", "/dashboard", "/openapi.json", "/metrics"):
        answer = await filled.get(path, headers={"Accept-Encoding": "gzip"})
        assert (answer.status_code, answer.headers.get("content-encoding")) == (200, "gzip"), path


async def test_small_answers_are_not_compressed(filled: httpx.AsyncClient) -> None:
    assert "content-encoding" not in (await filled.get("/price", headers={"Accept-Encoding": "gzip"})).headers


async def test_the_websocket_is_not_compressed(api: httpx.AsyncClient) -> None:
    url = f"{api.base_url}/ws".replace("http", "ws", 1).replace("//ws", "/ws")
    async with connect(url, proxy=None, extensions=[ClientPerMessageDeflateFactory()]) as websocket:
        assert websocket.protocol.extensions == []


async def test_head_and_any_origin_are_allowed(filled: httpx.AsyncClient) -> None:
    response = await filled.head("/symbols", headers={"Origin": "https://example.org"})
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["access-control-allow-origin"] == "*"
    preflight = {"Origin": "https://example.org", "Access-Control-Request-Method": "GET"}
    assert (await filled.options("/candles", headers=preflight)).status_code == 200


async def test_documentation_and_health_are_served(filled: httpx.AsyncClient) -> None:
    assert "swagger" in (await filled.get("/docs")).text
    assert (await filled.get("/healthz")).text == "ok\n"


async def test_the_document_is_the_same_without_a_proxy(api: httpx.AsyncClient) -> None:
    first = await get(api, "/openapi.json")
    proxied = (await api.get("/openapi.json", headers={"X-Forwarded-Prefix": "/ms"})).json()
    assert "servers" not in first
    assert proxied == first | {"servers": [{"url": "/ms"}]}
    assert await get(api, "/openapi.json") == first
