"""The dashboard: the page and the files that it loads, which need no build."""

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC: Final = Path(__file__).parent / "static"

HEADERS: Final = {
    # Only our own files, and no inline script or style: text from an exchange can never become code.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # revalidated on each load, usually with 304: an update is visible at once
}


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def page_routes() -> list[BaseRoute]:
    """Return the routes of the page at /dashboard and of its files below /static."""

    async def dashboard(_: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers=HEADERS)

    async def root(_: Request) -> Response:
        return RedirectResponse("/dashboard")

    return [Route("/dashboard", dashboard), Route("/", root), Mount("/static", _Files(directory=STATIC))]
