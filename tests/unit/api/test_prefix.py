"""The path under which a proxy serves the API, as a request reports it."""

from typing import Any

import pytest
from marketstream.api.prefix import Prefixed
from starlette.types import Receive, Scope, Send


async def seen(path: str, headers: list[str], root_path: str = "") -> tuple[str, str]:
    """Return the root_path and the path with which the application sees a request."""
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)

    raw = [(b"x-forwarded-prefix", value.encode("latin-1")) for value in headers]
    scope: Scope = {"type": "http", "path": path, "root_path": "", "headers": raw}
    nothing: Any = None
    await Prefixed(app, root_path)(scope, nothing, nothing)
    return scopes[0]["root_path"], scopes[0]["path"]


@pytest.mark.parametrize(
    ("headers", "prefix"),
    [
        (["/ms"], "/ms"),
        (["/ms/"], "/ms"),
        (["/a/b-c_d.e~f"], "/a/b-c_d.e~f"),
        (["/outer", "/inner"], "/outer/inner"),
        (["/outer/, /inner"], "/outer/inner"),
        (["/.well-known"], "/.well-known"),
    ],
)
async def test_a_safe_path_is_a_prefix(headers: list[str], prefix: str) -> None:
    assert await seen("/price", headers) == (prefix, f"{prefix}/price")


@pytest.mark.parametrize(
    "header",
    [
        "", "/", ",", "ms", "//example.org", "/ms//x", "/ms/../admin", "/..", "/.", "/./x", '/"><script>', "/ms?x",
        "/m s", "/ms#x", "/m%73", "/m\\s", "/ms;x", "/é", "https://example.org/ms", "/ms, //example.org",
    ],
)  # fmt: skip
async def test_any_other_header_is_ignored(header: str) -> None:
    assert await seen("/price", [header]) == ("", "/price")


@pytest.mark.parametrize(
    ("path", "is_seen_as"),
    [
        ("/price", "/ms/price"),
        ("/ms/price", "/ms/price"),
        ("/", "/ms/"),
        ("/ms", "/ms/"),
        ("/ms/", "/ms/"),
        ("/msx", "/ms/msx"),
    ],
)
async def test_a_path_may_come_with_the_prefix_or_without(path: str, is_seen_as: str) -> None:
    assert await seen(path, [], "/ms/") == ("/ms", is_seen_as)
    assert await seen(path, ["/other"], "/ms") == ("/ms", is_seen_as), "the setting is stronger than the header"
    assert await seen(path, ["/ms"]) == ("/ms", is_seen_as)
