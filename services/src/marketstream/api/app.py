"""Assembly of the application."""

from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from marketstream.api import problems
from marketstream.api.directory import Directory
from marketstream.api.live.endpoint import websocket_route
from marketstream.api.live.hub import Hub
from marketstream.api.metrics import Measured
from marketstream.api.page import page_routes
from marketstream.api.rest import openapi
from marketstream.api.rest.routes import routes
from marketstream.postgres.reader import StoreReader
from marketstream.redis.reader import LiveReader
from marketstream.service import Health, health_app
from marketstream.settings import Settings


def create_app(
    settings: Settings, store_reader: StoreReader, live_reader: LiveReader, hub: Hub, health: Health
) -> FastAPI:
    """Return the API over these stores, none of which needs to be reachable yet."""
    app = FastAPI(
        title="MarketStream", version=version("marketstream"), description=openapi.DESCRIPTION, redoc_url=None
    )
    directory = Directory(store_reader, settings.default_exchange, settings.symbols)
    app.include_router(routes(directory, store_reader, live_reader))
    app.router.routes.extend([websocket_route(directory, hub), *page_routes(), *health_app(health).routes])
    problems.install(app)
    openapi.install(app)
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["GET"])
    app.add_middleware(Measured)
    return app
