"""Assembly of the application."""

from importlib.metadata import version
from typing import Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from marketstream.api import problems
from marketstream.api.directory import Directory
from marketstream.api.headers import Headed
from marketstream.api.live.endpoint import websocket_route
from marketstream.api.live.hub import Hub
from marketstream.api.metrics import Measured
from marketstream.api.page import page_routes, slash_route
from marketstream.api.prefix import Prefixed
from marketstream.api.rest import openapi
from marketstream.api.rest.routes import routes
from marketstream.postgres.reader import StoreReader
from marketstream.redis.reader import LiveReader
from marketstream.service import Health, health_app
from marketstream.settings import Settings

COMPRESSED_SIZE: Final = 1024
"""Minimum bytes of a body that is compressed: a smaller body fits into one packet anyway."""

COMPRESSION: Final = 1
"""Level of gzip. The highest level takes several times as long and saves hardly any bytes of the candles."""


class _Application(FastAPI):
    """The application, whose middleware is also around its answer to an unexpected error."""

    served_under = ""
    """The setting ROOT_PATH."""

    def build_middleware_stack(self) -> ASGIApp:
        """Wrap also Starlette's answer to an error in our middleware, which Starlette itself would put outside it."""
        app: ASGIApp = GZipMiddleware(super().build_middleware_stack(), COMPRESSED_SIZE, COMPRESSION)
        app = CORSMiddleware(
            app, allow_origins=["*"], allow_methods=["GET", "HEAD"], allow_headers=["*"],
            expose_headers=["Retry-After"],
        )  # fmt: skip
        return Prefixed(Measured(Headed(app)), self.served_under)


def create_app(
    settings: Settings, store_reader: StoreReader, live_reader: LiveReader, hub: Hub, health: Health
) -> FastAPI:
    """Return the API over these stores, none of which needs to be reachable yet."""
    app = _Application(
        title="MarketStream", version=version("marketstream"), description=openapi.DESCRIPTION,
        docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    app.served_under = settings.root_path
    directory = Directory(store_reader, settings.default_exchange, settings.symbols)
    app.include_router(routes(directory, store_reader, live_reader))
    app.router.routes.extend(
        [websocket_route(directory, hub), *page_routes(), *health_app(health).routes, slash_route()]
    )
    problems.install(app)
    openapi.install(app)
    return app
