"""The application as a whole: HEAD, other origins, documentation and health."""

import httpx


async def test_head_and_any_origin_are_welcome(filled: httpx.AsyncClient) -> None:
    response = await filled.head("/symbols", headers={"Origin": "https://example.org"})
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["access-control-allow-origin"] == "*"
    preflight = {"Origin": "https://example.org", "Access-Control-Request-Method": "GET"}
    assert (await filled.options("/candles", headers=preflight)).status_code == 200


async def test_documentation_and_health_are_served(filled: httpx.AsyncClient) -> None:
    assert "swagger" in (await filled.get("/docs")).text
    assert (await filled.get("/healthz")).text == "ok\n"
