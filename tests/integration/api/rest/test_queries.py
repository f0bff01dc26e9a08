"""Invalid queries over HTTP."""

import httpx
import pytest

from tests.integration.api.serving import problem


@pytest.mark.parametrize(
    ("query", "parameter", "given", "expected"),
    [
        ("limit=0", "limit", "0", "greater than or equal to 1"),
        ("limit=1001", "limit", "1001", "less than or equal to 1000"),
        ("limit=many", "limit", "many", "a valid integer"),
        ("limit=1.5", "limit", "1.5", "a valid integer"),
        ("interval=7m", "interval", "7m", "'10s', '1m', '5m', '15m', '1h', '4h' or '1d'"),
        ("start=soon", "start", "soon", "a valid integer"),
        ("end=-1", "end", "-1", "greater than or equal to 0"),
        ("start=1610064000000", "start", "1610064000000", "less than or equal to 253402300799"),
        ("start=20&end=20", "start", "20", "less than end, which is 20"),
        ("sybmol=X", "sybmol", "X", "one of the parameters symbol, exchange, interval, start, end, limit"),
    ],
)
async def test_an_invalid_query_says_what_was_expected(
    filled: httpx.AsyncClient, query: str, parameter: str, given: str, expected: str
) -> None:
    body = await problem(filled, f"/candles?{query}", 422, "invalid-query")
    assert body["errors"] == [{"parameter": parameter, "given": given, "expected": expected}]
    assert body["detail"] == f"{parameter} is {given!r}: expected {expected}"


async def test_every_invalid_parameter_is_named(filled: httpx.AsyncClient) -> None:
    body = await problem(filled, "/candles?limit=0&interval=x&start=y", 422, "invalid-query")
    assert {error["parameter"] for error in body["errors"]} == {"limit", "interval", "start"}


@pytest.mark.parametrize("path", ["/price?limit=1", "/current-candle?interval=1m", "/symbols?x=1"])
async def test_a_parameter_of_another_endpoint_is_refused(filled: httpx.AsyncClient, path: str) -> None:
    await problem(filled, path, 422, "invalid-query")
