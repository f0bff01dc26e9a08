"""Errors as problem+json (RFC 9457): a type to tell them apart, a title, and a detail that helps."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from msgspec import Meta
from starlette.exceptions import HTTPException

from marketstream.postgres.errors import StoreError
from marketstream.redis.errors import LiveStoreError
from marketstream.telemetry import logger

log = logger(__name__)

RETRY_AFTER_S = 2
"""When a client should ask again after a store was away: stores are looked at that often."""


class Refusal(msgspec.Struct, frozen=True):
    """One query parameter that makes no sense."""

    parameter: Annotated[str, Meta(examples=["limit"])]
    given: Annotated[str | None, Meta(description="null when nothing was given", examples=["5000"])]
    expected: Annotated[str, Meta(examples=["less than or equal to 1000"])]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong (RFC 9457)."""

    type: Annotated[str, Meta(description="tells problems apart", examples=["urn:marketstream:problem:invalid-query"])]
    title: Annotated[str, Meta(examples=["The query makes no sense"])]
    status: Annotated[int, Meta(examples=[422])]
    detail: Annotated[str, Meta(examples=["limit is '5000': expected less than or equal to 1000"])]
    errors: Annotated[list[Refusal], Meta(description="the parameters that make no sense, of a bad query only")] = []


class ProblemError(Exception):
    """Raised by an endpoint: the request is answered with this problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def not_found(name: str, title: str, detail: str) -> ProblemError:
    """What was asked for is not there. `name` ends the problem's type."""
    return ProblemError(Problem(_type(name), title, HTTPStatus.NOT_FOUND, detail))


def invalid_query(*errors: Refusal) -> ProblemError:
    """Parameters that make no sense."""
    detail = "; ".join(
        f"{error.parameter} is {'missing' if error.given is None else repr(error.given)}: expected {error.expected}"
        for error in errors
    )
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return ProblemError(Problem(_type("invalid-query"), "The query makes no sense", status, detail, list(errors)))


def install(app: FastAPI) -> None:
    """Every error of `app` is answered as problem+json from now on."""
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(StoreError, _away)
    app.add_exception_handler(LiveStoreError, _away)
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
    """pydantic's error in our words: "Input should be a valid integer, unable to parse …" becomes "a valid integer"."""
    location: Sequence[Any] = error["loc"]
    given = error.get("input")
    return Refusal(
        parameter=str(location[-1]),
        given=given if isinstance(given, str) else None,
        expected=error["msg"].removeprefix("Input should be ").partition(", unable")[0],
    )


async def _away(request: Request, error: Exception) -> Response:
    log.debug("answered that a store is away", path=request.url.path, error=str(error))
    problem = Problem(
        _type("store-away"), "A store is away", HTTPStatus.SERVICE_UNAVAILABLE, f"{error}. Try again in a moment."
    )
    return _respond(problem, {"Retry-After": str(RETRY_AFTER_S)})


async def _http(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: a path or a method that there is not."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    title = HTTPStatus(error.status_code).phrase
    detail = {
        HTTPStatus.NOT_FOUND: f"There is no {request.url.path}: /docs lists what there is.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.url.path} does not take {request.method}: this API is read by GET.",
    }.get(HTTPStatus(error.status_code), error.detail)
    problem = Problem(_type(title.lower().replace(" ", "-")), title, error.status_code, detail)
    return _respond(problem, error.headers)


async def _unexpected(_request: Request, _error: Exception) -> Response:
    """An error of ours. The server logs it with its traceback; the client learns nothing of the inside."""
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return _respond(Problem(_type("internal-error"), status.phrase, status, "An error of the service; it is logged."))
