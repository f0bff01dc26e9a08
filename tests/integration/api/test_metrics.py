"""Requests are counted and timed by route, and invented paths by none."""

import httpx

from tests.integration.api.serving import get


async def test_requests_are_measured_by_route(filled: httpx.AsyncClient) -> None:
    await get(filled, "/price")
    await filled.get("/made/up/by/a/client")
    await filled.get("/dashboard")
    metrics = (await filled.get("/metrics")).text
    assert 'marketstream_api_requests_total{method="GET",route="/price",status="200"}' in metrics
    assert 'marketstream_api_requests_total{method="GET",route="unmatched",status="404"}' in metrics
    assert 'marketstream_api_request_seconds_bucket{le="0.005",route="/price"}' in metrics
    assert 'route="/dashboard"' not in metrics
