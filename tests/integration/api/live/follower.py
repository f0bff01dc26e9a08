"""A client of /ws, like the dashboard."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.integration.api.serving import LIMIT_S

BTC = {"exchange": "binance", "symbol": "BTCUSDT", "interval": "10s"}


class Follower:
    """A client of /ws that checks that every message is the next one of its stream."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._seen: dict[tuple[str, str, str], tuple[str, int]] = {}

    async def say(self, kind: str, *streams: dict[str, Any]) -> None:
        await self.connection.send(json.dumps({"type": kind, "streams": streams}))

    async def next(self, *kinds: str, within_s: float = LIMIT_S, **fields: Any) -> dict[str, Any]:
        """Return the next message of one of these types with these fields."""
        async with asyncio.timeout(within_s):
            while True:
                message = cast("dict[str, Any]", json.loads(await self.connection.recv()))
                self._check(message)
                if message["type"] in kinds and all(message[name] == value for name, value in fields.items()):
                    return message

    async def nothing(self, *kinds: str, for_s: float = 0.3) -> None:
        """Check that no message of these types arrives."""
        with pytest.raises(TimeoutError):
            raise AssertionError(await self.next(*kinds, within_s=for_s))

    def _check(self, message: dict[str, Any]) -> None:
        if "seq" not in message:
            return
        key = message["exchange"], message["symbol"], message["interval"]
        if message["type"] != "snapshot":
            epoch, seq = self._seen[key]
            assert (message["epoch"], message["seq"]) == (epoch, seq + 1)
        self._seen[key] = message["epoch"], message["seq"]


@contextlib.asynccontextmanager
async def following(api: httpx.AsyncClient, *streams: dict[str, Any], **options: Any) -> AsyncIterator[Follower]:
    """Connect a client and subscribe to these streams."""
    url = f"ws://{api.base_url.host}:{api.base_url.port}/ws"
    async with connect(url, compression=None, max_size=None, **options) as connection:
        follower = Follower(connection)
        if streams:
            await follower.say("subscribe", *streams)
        yield follower
