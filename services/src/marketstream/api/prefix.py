"""The path under which a proxy serves the API, such as /ms."""

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from marketstream.settings import is_root_path

FORWARDED_PREFIX: Final = "X-Forwarded-Prefix"
"""The header in which a proxy reports the path that it has removed. Proxies behind each other add one value each."""


class Prefixed:
    """The application `app` under the path `root_path` or, if that is empty, under the path that the proxy reports.

    The path of a request may begin with this prefix or not: some proxies remove it, and probes do not know it.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = self._root_path or _forwarded(scope)
        if prefix:
            path = scope["path"]
            if path == prefix:
                path = f"{prefix}/"
            elif not path.startswith(f"{prefix}/"):
                path = prefix + path
            scope = {**scope, "root_path": prefix, "path": path}
        await self._app(scope, receive, send)


def root_path_of(scope: Scope) -> str:
    """Return the path under which the request sees the API, without a slash at its end; empty if there is none."""
    path: str = scope.get("app_root_path", scope.get("root_path", ""))  # in a mount, root_path includes its own path
    return path


def _forwarded(scope: Scope) -> str:
    """Return the path in the proxy's header. Ignore one with unsafe characters: any client may send this header."""
    values = ",".join(Headers(scope=scope).getlist(FORWARDED_PREFIX))
    prefix = "".join(value.strip().rstrip("/") for value in values.split(","))
    return prefix if is_root_path(prefix) else ""
