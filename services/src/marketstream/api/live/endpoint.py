"""The endpoint /ws: carry out the requests of a client, and answer invalid ones with an error."""

import asyncio
from typing import Final

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from marketstream.api.directory import Directory
from marketstream.api.live.client import TRY_AGAIN_LATER, Client
from marketstream.api.live.hub import Hub
from marketstream.api.live.messages import (
    MOST_STREAMS,
    BadMessageError,
    Ping,
    Pong,
    Refused,
    Subscribe,
    Unsubscribed,
    Wanted,
    request,
)
from marketstream.api.live.outlet import outlet_of
from marketstream.api.problems import ProblemError
from marketstream.market.window import INTERVALS
from marketstream.postgres.errors import StoreError
from marketstream.telemetry import logger

log = logger(__name__)

MOST_CLIENTS: Final = 10_000
"""Maximum number of clients of one process: each needs a socket and tens of kilobytes."""

PAUSE_S: Final = 0.02
"""Minimum seconds between two requests of a client, because each may query the database."""


def websocket_route(directory: Directory, hub: Hub, *, most_clients: int = MOST_CLIENTS) -> WebSocketRoute:
    """Return the route of /ws. Any origin may connect, because the data is public and nothing can be written."""
    clients = 0

    async def endpoint(websocket: WebSocket) -> None:
        nonlocal clients
        await websocket.accept()
        if clients >= most_clients:
            await websocket.close(TRY_AGAIN_LATER, f"the server is full ({most_clients} clients); reconnect later")
            return
        client = Client(outlet_of(websocket.scope))
        clients += 1
        hub.join(client)
        try:
            await _serve(websocket, client, directory, hub)
        except WebSocketDisconnect as gone:
            log.debug("client disconnected", code=gone.code)
        finally:
            clients -= 1
            hub.leave(client)

    return WebSocketRoute("/ws", endpoint)


async def _serve(websocket: WebSocket, client: Client, directory: Directory, hub: Hub) -> None:
    while True:
        await _wait_for_room(client)
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        try:
            asked = request(message.get("text") or message.get("bytes") or "")
        except BadMessageError as error:
            client.answer(Refused("bad-message", str(error)))
        else:
            if isinstance(asked, Ping):
                client.answer(Pong())
            else:
                for wanted in asked.streams:
                    await _wait_for_room(client)
                    await _carry_out(wanted, client, directory, hub, subscribe=isinstance(asked, Subscribe))
        await asyncio.sleep(PAUSE_S)


async def _wait_for_room(client: Client) -> None:
    """Wait until the client has read enough, so that replies do not pile up in memory.

    Raises WebSocketDisconnect when the client was disconnected because it read too little.
    """
    while not client.has_room():
        if client.is_given_up:
            raise WebSocketDisconnect(TRY_AGAIN_LATER)
        await asyncio.sleep(PAUSE_S)


async def _carry_out(wanted: Wanted, client: Client, directory: Directory, hub: Hub, *, subscribe: bool) -> None:
    """Add or remove one subscription. Report errors to the client; other subscriptions are not affected."""
    interval = INTERVALS[wanted.interval]
    try:
        exchange, symbol = await directory.find(wanted.exchange, wanted.symbol)
        key = exchange, symbol, interval.name
        if not subscribe:
            hub.unfollow(client, *key[:2], interval)
            client.answer(Unsubscribed(*key))
        elif len(client.subscriptions) >= MOST_STREAMS and all(each.key != key for each in client.subscriptions):
            detail = f"a client may follow up to {MOST_STREAMS} streams: unsubscribe from some, or connect again"
            client.answer(Refused("too-many-streams", detail, wanted))
        else:
            await hub.follow(client, *key[:2], interval, wanted.limit)
    except ProblemError as error:
        client.answer(Refused(error.problem.type.rpartition(":")[2], error.problem.detail, wanted))
    except StoreError as error:
        client.answer(Refused("store-away", f"{error}. Retry in a moment.", wanted))
