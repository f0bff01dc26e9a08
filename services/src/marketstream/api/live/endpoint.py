"""/ws: what a client asks for, and what it is told when that makes no sense."""

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
"""Most clients of one process: each takes a socket and tens of kilobytes."""

PAUSE_S: Final = 0.02
"""Seconds between two messages of a client that are looked at: each may ask the database."""


def websocket_route(directory: Directory, hub: Hub, *, most_clients: int = MOST_CLIENTS) -> WebSocketRoute:
    """The route of /ws. Any origin may connect: what is read here is public, and nothing can be written."""
    clients = 0

    async def endpoint(websocket: WebSocket) -> None:
        nonlocal clients
        await websocket.accept()
        if clients >= most_clients:
            await websocket.close(TRY_AGAIN_LATER, f"this server has its {most_clients} clients; connect again later")
            return
        client = Client(outlet_of(websocket.scope))
        clients += 1
        hub.join(client)
        try:
            await _serve(websocket, client, directory, hub)
        except WebSocketDisconnect as gone:
            log.debug("a client has gone", code=gone.code)
        finally:
            clients -= 1
            hub.leave(client)

    return WebSocketRoute("/ws", endpoint)


async def _serve(websocket: WebSocket, client: Client, directory: Directory, hub: Hub) -> None:
    while True:
        await _room(client)
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
                    await _room(client)
                    await _carry_out(wanted, client, directory, hub, subscribe=isinstance(asked, Subscribe))
        await asyncio.sleep(PAUSE_S)


async def _room(client: Client) -> None:
    """Waits until the client has read enough of what it was sent, so that what it asks for never piles up here.

    Raises WebSocketDisconnect when it was given up for reading too little.
    """
    while not client.has_room():
        if client.is_given_up:
            raise WebSocketDisconnect(TRY_AGAIN_LATER)
        await asyncio.sleep(PAUSE_S)


async def _carry_out(wanted: Wanted, client: Client, directory: Directory, hub: Hub, *, subscribe: bool) -> None:
    """Adds or removes one subscription. What goes wrong is told, and the others go on."""
    interval = INTERVALS[wanted.interval]
    try:
        exchange, symbol = await directory.find(wanted.exchange, wanted.symbol)
        key = exchange, symbol, interval.name
        if not subscribe:
            hub.unfollow(client, *key[:2], interval)
            client.answer(Unsubscribed(*key))
        elif len(client.subscriptions) >= MOST_STREAMS and all(each.key != key for each in client.subscriptions):
            detail = f"a client may follow {MOST_STREAMS} streams: unsubscribe from others, or connect once more"
            client.answer(Refused("too-many-streams", detail, wanted))
        else:
            await hub.follow(client, *key[:2], interval, wanted.limit)
    except ProblemError as error:
        client.answer(Refused(error.problem.type.rpartition(":")[2], error.problem.detail, wanted))
    except StoreError as error:
        client.answer(Refused("store-away", f"{error}. Try again in a moment.", wanted))
