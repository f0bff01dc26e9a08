"""The OpenAPI document, which has all endpoints and nothing else."""

from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest
from marketstream.api.app import create_app
from marketstream.api.live.hub import Hub
from marketstream.postgres.reader import CandleRow, StoreReader
from marketstream.redis.reader import LiveReader
from marketstream.service import Health
from marketstream.settings import Settings

ENDPOINTS = {
    "/price": ("getPrice", {"200", "404", "422", "503"}, {"symbol", "exchange"}),
    "/candles": (
        "getCandles",
        {"200", "404", "422", "503"},
        {"symbol", "exchange", "interval", "start", "end", "limit"},
    ),
    "/current-candle": ("getCurrentCandle", {"200", "404", "422", "503"}, {"symbol", "exchange"}),
    "/symbols": ("getSymbols", {"200", "422", "503"}, set()),
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    # The document is made without a store: nothing is read.
    app = create_app(Settings(), cast("StoreReader", None), cast("LiveReader", None), cast("Hub", None), Health())
    return cast("dict[str, Any]", msgspec.json.decode(msgspec.json.encode(app.openapi())))


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in the document."""
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from nodes(child)
    elif isinstance(node, list):
        for child in node:
            yield from nodes(child)


@pytest.mark.parametrize("path", ENDPOINTS)
def test_an_endpoint_is_described_with_its_parameters_and_responses(document: dict[str, Any], path: str) -> None:
    operation_id, statuses, parameters = ENDPOINTS[path]
    assert set(document["paths"][path]) == {"get"}
    operation = document["paths"][path]["get"]
    assert operation["operationId"] == operation_id
    assert operation["summary"]
    assert set(operation["responses"]) == statuses
    assert {parameter["name"] for parameter in operation.get("parameters", [])} == parameters
    assert all(parameter["description"] for parameter in operation.get("parameters", []))
    for status, response in operation["responses"].items():
        kind = "application/json" if status == "200" else "application/problem+json"
        assert list(response["content"]) == [kind]
        assert response["description"]


def test_the_document_holds_these_endpoints_only(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == set(ENDPOINTS)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    references = {node["$ref"] for node in nodes(document) if "$ref" in node}
    assert references == {f"#/components/schemas/{name}" for name in schemas}


def test_the_schema_of_a_candle_is_that_of_its_json(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["Candle"]
    assert tuple(schema["properties"]) == CandleRow.__struct_fields__
    assert set(schema["required"]) == set(CandleRow.__struct_fields__)
