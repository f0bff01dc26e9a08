"""The dashboard and the documentation of the API: pages and the files that they load, which need no build.

Every address in a page is relative, so that the pages work under any path of a proxy.
"""

import os
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from marketstream.api.prefix import root_path_of

STATIC: Final = Path(__file__).parent / "static"

HEADERS: Final[Mapping[str, str]] = {
    # Only our own files, and no inline script or style: text from an exchange can never become code.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    # Requested on each load, so that an update is visible at once. The answer for an unchanged file is 304.
    "Cache-Control": "no-cache",
}

FOREVER: Final = "public, max-age=31536000, immutable"
"""Caching of a file whose address changes with its content."""

_VERSIONED: Final = re.compile(r"([0-9a-f]{12})/(.+)", re.DOTALL)


class _Files(StaticFiles):
    """The files at `<version>/<path>`, which a browser keeps, and at `<path>`, which it requests again each time.

    A version that this process does not have, such as that of another replica during an update, gets the file of this
    process, but the browser does not keep it.
    """

    async def get_response(self, path: str, scope: Scope) -> Response:
        version, file = match.groups() if (match := _VERSIONED.fullmatch(path)) else ("", path)
        response = await super().get_response(file, scope)
        response.headers.update(HEADERS)
        if version and version == current_version():
            response.headers["Cache-Control"] = FOREVER
        return response


def current_version() -> str:
    """Return the version of all files: 12 hexadecimal digits, which change with the content of any of them."""
    with os.scandir(STATIC) as entries:  # for each request of a page, so in one pass
        files = sorted((entry.path, entry.stat().st_mtime_ns) for entry in entries if entry.is_file())
    return _version(tuple(files))


@lru_cache(maxsize=1)
def _version(files: tuple[tuple[str, int], ...]) -> str:
    """Hash the files. The packages' lock file is one of them, and stands for the packages."""
    digest = sha256()
    for path in (Path(name) for name, _ in files):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def page_routes() -> list[BaseRoute]:
    """Return the routes of the pages at /dashboard and /docs, and of their files below /static."""

    async def root(request: Request) -> Response:
        prefix = root_path_of(request.scope)
        return RedirectResponse(f"{prefix}/dashboard" if prefix else "dashboard")

    return [
        Route("/dashboard", _page("index.html")),
        Route("/docs", _page("docs.html")),
        Route("/", root),
        Mount("/static", _Files(directory=STATIC)),
    ]


def slash_route() -> Route:
    """The last route: a path with a slash at its end leads to the same path without it.

    The redirect is relative, as the API does not know the name and scheme under which a proxy serves it.
    """

    async def redirect(request: Request) -> Response:
        name = quote(request.scope["path"].rstrip("/").rpartition("/")[2])
        query = request.url.query
        return RedirectResponse(f"../{name}?{query}" if query else f"../{name}")

    return Route("/{path:path}/", redirect)


def _page(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def page(_: Request) -> Response:
        text = (STATIC / name).read_text("utf-8")
        return HTMLResponse(text.replace("static/VERSION/", f"static/{current_version()}/"), headers=HEADERS)

    return page
