"""Errors as problem+json (RFC 9457): a type that identifies the problem, a title, and a detail with the remedy."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from msgspec import Meta
from starlette.exceptions import HTTPException

from marketstream.api.prefix import root_path_of
from marketstream.postgres.errors import StoreError
from marketstream.redis.errors import LiveStoreError
from marketstream.telemetry import logger

log = logger(__name__)

RETRY_AFTER_S = 2
"""Seconds after which a client should retry when a store is unavailable. Stores are probed that often."""


class Refusal(msgspec.Struct, frozen=True):
    """One invalid query parameter."""

    parameter: Annotated[str, Meta(examples=["limit"])]
    given: Annotated[str | None, Meta(description="null if the parameter is missing", examples=["5000"])]
    expected: Annotated[str, Meta(examples=["less than or equal to 1000"])]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Description of an error (RFC 9457)."""

    type: Annotated[
        str, Meta(description="identifies the kind of problem", examples=["urn:marketstream:problem:invalid-query"])
    ]
    title: Annotated[str, Meta(examples=["Invalid query parameters"])]
    status: Annotated[int, Meta(examples=[422])]
    detail: Annotated[str, Meta(examples=["limit is '5000': expected less than or equal to 1000"])]
    errors: Annotated[list[Refusal], Meta(description="the invalid parameters; only with invalid-query")] = []


class ProblemError(Exception):
    """Error of an endpoint. The request is answered with its problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def not_found(name: str, title: str, detail: str) -> ProblemError:
    """Return the error for something that does not exist (404). `name` is the last part of the problem's type."""
    return ProblemError(Problem(_type(name), title, HTTPStatus.NOT_FOUND, detail))


def invalid_query(*errors: Refusal) -> ProblemError:
    """Return the error for invalid query parameters (422)."""
    detail = "; ".join(
        f"{error.parameter} is {'missing' if error.given is None else repr(error.given)}: expected {error.expected}"
        for error in errors
    )
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return ProblemError(Problem(_type("invalid-query"), "Invalid query parameters", status, detail, list(errors)))


def install(app: FastAPI) -> None:
    """Make `app` answer every error as problem+json."""
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(StoreError, _unavailable)
    app.add_exception_handler(LiveStoreError, _unavailable)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _type(name: str) -> str:
    return f"urn:marketstream:problem:{name}"


def _respond(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        msgspec.json.encode(problem),
        status_code=problem.status,
        headers=headers,
        media_type="application/problem+json",
    )


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for this class
    return _respond(error.problem)


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    return await _problem(request, invalid_query(*map(_refusal, error.errors())))


def _refusal(error: Mapping[str, Any]) -> Refusal:
    """Return pydantic's error as a refusal, with "a valid integer" for "Input should be a valid integer, unable …"."""
    location: Sequence[Any] = error["loc"]
    given = error.get("input")
    return Refusal(
        parameter=str(location[-1]),
        given=given if isinstance(given, str) else None,
        expected=error["msg"].removeprefix("Input should be ").partition(", unable")[0],
    )


async def _unavailable(request: Request, error: Exception) -> Response:
    log.debug("request failed, store unavailable", path=request.url.path, error=str(error))
    problem = Problem(
        _type("store-away"), "Store unavailable", HTTPStatus.SERVICE_UNAVAILABLE, f"{error}. Retry in a moment."
    )
    return _respond(problem, {"Retry-After": str(RETRY_AFTER_S)})


async def _http(request: Request, error: Exception) -> Response:
    """Answer an error of the framework itself: an unknown path or a method that is not allowed."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    title = HTTPStatus(error.status_code).phrase
    docs = f"{root_path_of(request.scope)}/docs"
    detail = {
        HTTPStatus.NOT_FOUND: f"There is no {request.url.path}. {docs} lists all paths.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.url.path} does not support {request.method}. Use GET.",
    }.get(HTTPStatus(error.status_code), error.detail)
    problem = Problem(_type(title.lower().replace(" ", "-")), title, error.status_code, detail)
    return _respond(problem, error.headers)


async def _unexpected(_request: Request, _error: Exception) -> Response:
    """Answer an internal error. The server logs it with its traceback; the client learns no internals."""
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    detail = "Internal error of the service. Its log has the details."
    return _respond(Problem(_type("internal-error"), status.phrase, status, detail))
