"""The OpenAPI document. The schemas come from the structures that are encoded, so they cannot differ from the JSON."""

from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from marketstream.api.problems import Problem
from marketstream.api.rest.views import Price, Symbol
from marketstream.postgres.reader import CandleRow

DESCRIPTION: Final = """
Trades of exchanges as candles, each provably complete or visibly marked.

Prices and quantities are decimal strings, as a JSON number loses digits. Times are Unix seconds. Errors are
`application/problem+json` (RFC 9457). Any origin may read.

`/healthz` answers while the process lives, `/readyz` while its stores do, `/metrics` speaks to Prometheus.
"""

_REFERENCE: Final = "#/components/schemas/{name}"

_PROBLEMS: Final = {
    404: "There is no such symbol or exchange, or nothing of it yet.",
    422: "A query parameter makes no sense; `errors` says which, what was given and what was expected.",
    503: "A store is away; ask again after `Retry-After` seconds.",
}

Responses = dict[int | str, dict[str, Any]]


def answers(form: Any, description: str, *problems: int) -> Responses:
    """The documented responses of an endpoint: 200 with JSON of `form`, and the problems with these statuses."""
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
    """`app` describes itself with the schemas of what it really encodes."""
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
    """Return the schemas of the forms, and those that they refer to by name. A client's Candle is the store's row."""
    schemas = msgspec.json.schema_components(forms, ref_template=_REFERENCE)
    return msgspec.json.decode(msgspec.json.encode(schemas).replace(b"CandleRow", b"Candle"))
