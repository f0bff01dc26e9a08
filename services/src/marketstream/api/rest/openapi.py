"""The OpenAPI document. Its schemas come from the encoded structures, so they always match the JSON."""

from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from marketstream.api.problems import Problem
from marketstream.api.rest.views import Price, Symbol
from marketstream.postgres.reader import CandleRow

DESCRIPTION: Final = """
Trades of exchanges as candles, each provably complete or visibly marked.

Prices and quantities are decimal strings, because JSON numbers lose digits. Times are Unix seconds. Errors are
`application/problem+json` (RFC 9457). Requests from any origin are allowed.

`/healthz` reports liveness, `/readyz` readiness, which includes the stores, and `/metrics` is for Prometheus.
"""

_REFERENCE: Final = "#/components/schemas/{name}"

_PROBLEMS: Final = {
    404: "The symbol or exchange does not exist, or has no data yet.",
    422: "A query parameter is invalid. `errors` lists the parameter, the given value and the expected one.",
    503: "A store is unavailable. Retry after `Retry-After` seconds.",
}

Responses = dict[int | str, dict[str, Any]]


def answers(form: Any, description: str, *problems: int) -> Responses:
    """Return the documented responses of an endpoint: 200 with JSON of `form`, and the problems with these statuses."""
    responses: Responses = {200: {"description": description, "content": {"application/json": _schema(form)}}}
    for status in problems:
        responses[status] = {
            "description": _PROBLEMS[status],
            "content": {"application/problem+json": _schema(Problem)},
        }
    if 503 in responses:
        responses[503]["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
    return responses


def install(app: FastAPI) -> None:
    """Make `app` describe itself with the schemas of the structures that it encodes."""
    document: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not document:
            document.update(get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes,
            ))  # fmt: skip
            _, schemas = _components(CandleRow, Price, Symbol, Problem)
            document.setdefault("components", {})["schemas"] = schemas
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _schema(form: Any) -> dict[str, Any]:
    (schema,), _ = _components(form)
    return {"schema": schema}


def _components(*forms: Any) -> Any:
    """Return the schemas of the forms and of the structures they refer to. CandleRow is called Candle for clients."""
    schemas = msgspec.json.schema_components(forms, ref_template=_REFERENCE)
    return msgspec.json.decode(msgspec.json.encode(schemas).replace(b"CandleRow", b"Candle"))
