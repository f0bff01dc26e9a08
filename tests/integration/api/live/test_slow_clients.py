"""Clients of /ws that read slowly or not at all."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import cast

import httpx
import pytest
from marketstream.api.live import client as client_module
from marketstream.api.live import endpoint as ws_module
from marketstream.api.live import outlet as server_module
from marketstream.api.live.client import Client
from marketstream.api.live.messages import KEPT, MOST_STREAMS
from marketstream.api.live.outlet import Outlet
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.browser.market import Market
from tests.integration.api.live.follower import BTC, Follower, following
from tests.integration.api.serving import LIMIT_S, until

BEHIND, STUCK = (f"marketstream_api_websocket_{name}_total" for name in ("behind", "stuck"))


@contextlib.asynccontextmanager
async def deaf(api: httpx.AsyncClient) -> AsyncIterator[Callable[[bool], None]]:
    """Connect a client that follows BTCUSDT over a narrow socket. The function turns its reading on or off."""
    sock = socket.create_connection((api.base_url.host, api.base_url.port))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    async with connect(f"ws://{api.base_url.host}/ws", sock=sock, compression=None, max_size=None) as connection:
        transport = cast("asyncio.Transport", connection.transport)

        def read(on: bool) -> None:
            (transport.resume_reading if on else transport.pause_reading)()

        read.connection = connection  # type: ignore[attr-defined]
        yield read


async def test_a_slow_client_gets_the_latest_not_a_backlog(
    api: httpx.AsyncClient, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "BEHIND", 16 * 1024)
    monkeypatch.setattr(client_module, "STUCK_S", 3.0 * LIMIT_S)  # over a narrow line what waits takes about its 10 s
    await market.fill(50)
    async with deaf(api) as read, following(api, BTC) as quick:
        slow = Follower(read.connection)  # type: ignore[attr-defined]
        await slow.say("subscribe", BTC)
        await slow.next("snapshot")
        read(False)
        before = await count(api, BEHIND)
        async with market.trading(1000):
            await until(lambda: has_risen(api, BEHIND, before))
        last = market.books["BTCUSDT"].next_id - 1
        read(True)
        received = 0
        while True:
            message = await slow.next("snapshot", "price", "candle", "trades", "state")
            received += 1
            if message["type"] == "snapshot":
                break
        assert message["price"]["trade_id"] == last
        while (await quick.next("price"))["price"]["trade_id"] != last:
            pass
        assert received < message["seq"]  # it was spared the others


async def test_a_stuck_client_is_closed_with_a_reason(
    api: httpx.AsyncClient, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = await closed_when_stuck(api, market, monkeypatch)
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1013
    assert "has read too little for 1 s" in closed.rcvd.reason


async def test_a_stuck_client_is_released_even_if_it_never_reads_the_reason(
    api: httpx.AsyncClient, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "LINGER_S", 0.0)
    closed = await closed_when_stuck(api, market, monkeypatch)
    assert closed.rcvd is None


async def closed_when_stuck(
    api: httpx.AsyncClient, market: Market, monkeypatch: pytest.MonkeyPatch
) -> ConnectionClosed:
    """Return the close that a client sees if it reads again only after the server has given it up."""
    monkeypatch.setattr(client_module, "BEHIND", 16 * 1024)
    monkeypatch.setattr(client_module, "STUCK_S", 1.0)
    await market.fill(50)
    async with deaf(api) as read:
        slow = Follower(read.connection)  # type: ignore[attr-defined]
        await slow.say("subscribe", BTC)
        await slow.next("snapshot")
        read(False)
        before = await count(api, STUCK)
        async with market.trading(1000):
            await until(lambda: has_risen(api, STUCK, before))
        read(True)
        with pytest.raises(ConnectionClosed) as caught:
            await slow.next("nothing")
    return caught.value


async def test_requests_wait_until_the_client_has_read(
    api: httpx.AsyncClient, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlets: list[Outlet] = []

    def known(outlet: Outlet) -> Client:
        outlets.append(outlet)
        return Client(outlet)

    monkeypatch.setattr(ws_module, "Client", known)
    monkeypatch.setattr(client_module, "STUCK_S", 2.0)
    await market.fill(KEPT)
    async with deaf(api) as read, asyncio.timeout(LIMIT_S):
        greedy = Follower(read.connection)  # type: ignore[attr-defined]
        read(False)
        before = await count(api, STUCK)
        await greedy.say("subscribe", *[BTC] * MOST_STREAMS)
        most = 0
        while not await has_risen(api, STUCK, before):
            most = max(most, outlets[0].buffered())
    assert client_module.BEHIND < most < 3 * client_module.BEHIND


async def test_a_client_that_reads_gets_every_snapshot(api: httpx.AsyncClient, market: Market) -> None:
    await market.fill(KEPT)
    async with following(api, *[BTC] * MOST_STREAMS) as follower:
        for _ in range(MOST_STREAMS):
            assert len((await follower.next("snapshot"))["candles"]) == KEPT


async def count(api: httpx.AsyncClient, name: str) -> float:
    """Return the value of a counter of this process, which other tests may have raised as well."""
    lines = (await api.get("/metrics")).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


async def has_risen(api: httpx.AsyncClient, name: str, before: float) -> bool:
    return await count(api, name) > before
