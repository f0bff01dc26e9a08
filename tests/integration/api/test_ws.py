"""/ws over a real PostgreSQL and a real Redis, followed as a browser does."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import httpx
import pytest
from marketstream.api import client as client_module
from marketstream.api import server as server_module
from marketstream.api import ws as ws_module
from marketstream.api.client import Client
from marketstream.api.messages import KEPT, MOST_STREAMS
from marketstream.api.server import Outlet
from marketstream.cache.frames import Frame, channel_of, encode
from marketstream.local.postgres import PostgresServer
from marketstream.local.redis import RedisServer
from marketstream.settings import Settings
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.browser.market import Market
from tests.integration.api.test_api import LIMIT_S, ready, running, until

BTC = {"exchange": "binance", "symbol": "BTCUSDT", "interval": "10s"}


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url, http_host="127.0.0.1", http_port=0)


@pytest.fixture
async def market(settings: Settings) -> AsyncIterator[Market]:
    async with Market(settings) as market:
        yield market


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with running(settings) as client:
        await until(lambda: ready(client))
        yield client


class Follower:
    """A client of /ws, which checks of every message that it is the next of its stream."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._seen: dict[tuple[str, str, str], tuple[str, int]] = {}

    async def say(self, kind: str, *streams: dict[str, Any]) -> None:
        await self.connection.send(json.dumps({"type": kind, "streams": streams}))

    async def next(self, *kinds: str, within_s: float = LIMIT_S, **fields: Any) -> dict[str, Any]:
        """The next message of one of these types that has these fields."""
        async with asyncio.timeout(within_s):
            while True:
                message = cast("dict[str, Any]", json.loads(await self.connection.recv()))
                self._check(message)
                if message["type"] in kinds and all(message[name] == value for name, value in fields.items()):
                    return message

    async def nothing(self, *kinds: str, for_s: float = 0.3) -> None:
        """No message of these types comes."""
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
    """A client that has asked for these streams."""
    url = f"ws://{api.base_url.host}:{api.base_url.port}/ws"
    async with connect(url, compression=None, max_size=None, **options) as connection:
        follower = Follower(connection)
        if streams:
            await follower.say("subscribe", *streams)
        yield follower


async def test_a_snapshot_shows_what_the_other_endpoints_do(api: httpx.AsyncClient, market: Market) -> None:
    await market.fill(40)
    await market.publish("BTCUSDT", trades=[market.books["BTCUSDT"].trade(time.time_ns() // 1000)])
    async with following(api, {"symbol": "btcusdt", "limit": 20}) as follower:
        snapshot = await follower.next("snapshot")
    assert {name: snapshot[name] for name in BTC} == BTC
    assert snapshot["candles"] == (await api.get("/candles?symbol=BTCUSDT&limit=20")).json()
    assert snapshot["open"] == (await api.get("/current-candle?symbol=BTCUSDT")).json()
    price = (await api.get("/price?symbol=BTCUSDT")).json()
    assert snapshot["price"] == {name: price[name] for name in ("price", "time", "trade_id")}
    assert snapshot["freshness"] == {
        "state": "live", "detail": None, "complete_until": snapshot["open"]["window_start"], "open_holes": 0,
    }  # fmt: skip


async def test_what_changes_is_sent_and_what_does_not_is_not(api: httpx.AsyncClient, market: Market) -> None:
    await market.fill(3)
    await market.publish("BTCUSDT")
    book = market.books["BTCUSDT"]
    async with following(api, BTC) as follower:
        await follower.next("snapshot")
        before = time.time_ns() // 1000
        trade = book.trade(before)
        await market.publish("BTCUSDT", trades=[trade])
        price = await follower.next("price")
        assert before <= price["received_us"] <= time.time_ns() // 1000
        assert (price["price"]["price"], price["price"]["trade_id"]) == (trade.price, trade.id)
        candle = await follower.next("candle")
        assert (candle["closed"], candle["candle"]["trade_count"]) == (False, 1)
        trades = await follower.next("trades")
        assert trades["trades"] == [[trade.id, trade.time_us, trade.price, trade.quantity, trade.taker_buy]]
        await market.publish("ETHUSDT")
        await follower.nothing("candle", "trades", "state", "snapshot")
        await market.publish("BTCUSDT", backfilling="1", open_holes="2")
        state = await follower.next("state")
        assert (state["freshness"]["state"], state["freshness"]["open_holes"]) == ("backfilling", 2)


async def test_a_closed_candle_comes_from_the_database_for_every_interval(
    api: httpx.AsyncClient, market: Market
) -> None:
    opened = await market.fill(400)
    start = opened - 10 - opened % 300  # the last window of five minutes that have closed
    async with following(api, BTC, BTC | {"interval": "5m"}, BTC | {"interval": "1h"}) as follower:
        for _ in range(3):
            await follower.next("snapshot")
        await market.change("BTCUSDT", start, complete=False, incomplete_reason="hole")
        ten = await follower.next("candle", interval="10s", closed=True)
        five = await follower.next("candle", interval="5m", closed=True)
    assert (ten["candle"]["window_start"], ten["candle"]["revision"]) == (start, 1)
    assert (ten["candle"]["incomplete_reason"], five["candle"]["incomplete_reason"]) == ("hole", "hole")
    assert five["candle"]["window_start"] == start + 10 - 300
    assert five["candle"]["revision"] > 0
    answer = await api.get(f"/candles?interval=5m&start={start - 290}&end={start + 10}")
    assert [five["candle"]] == answer.json()


async def test_a_correction_far_in_the_past_reaches_those_who_scrolled_there(
    api: httpx.AsyncClient, market: Market
) -> None:
    opened = await market.fill(KEPT + 100)
    async with following(api, BTC) as follower:
        assert len((await follower.next("snapshot"))["candles"]) == KEPT
        await market.change("BTCUSDT", opened - 10 * (KEPT + 50), complete=False, incomplete_reason="hole")
        assert (await follower.next("candle", closed=True))["candle"]["window_start"] == opened - 10 * (KEPT + 50)


@pytest.mark.parametrize("interval", ["1m", "5m", "1h", "1d"])
async def test_the_open_candle_of_a_longer_interval_is_what_its_parts_come_to(
    api: httpx.AsyncClient, market: Market, interval: str
) -> None:
    opened = await market.fill(500)
    book = market.books["BTCUSDT"]
    async with following(api, BTC, BTC | {"interval": interval}) as follower:
        shown = {m["interval"]: m for m in (await follower.next("snapshot"), await follower.next("snapshot"))}
        await market.publish("BTCUSDT", trades=[book.trade(opened * 1_000_000 + n) for n in range(5)])
        candle = (await follower.next("candle", interval=interval, closed=False))["candle"]
    begin = candle["window_start"]
    parts = [part for part in shown["10s"]["candles"] if part["window_start"] >= begin]
    if begin >= shown["10s"]["candles"][0]["window_start"]:
        assert candle["trade_count"] == 5 + sum(part["trade_count"] for part in parts)
    assert candle["close"] == f"{book.price / 100:.2f}".rstrip("0").rstrip(".")
    assert (candle["complete"], candle["incomplete_reason"]) == (False, "unconfirmed")


async def test_a_longer_candle_keeps_its_trades_until_the_closed_part_is_stored(
    api: httpx.AsyncClient, market: Market
) -> None:
    opened = await market.fill(10, until=1_790_000_000 // 60 * 60 + 20)
    book = market.books["BTCUSDT"]
    async with following(api, BTC | {"interval": "1m"}) as follower:
        await follower.next("snapshot")
        await market.publish("BTCUSDT", trades=[book.trade(opened * 1_000_000) for _ in range(7)])
        held = (await follower.next("candle"))["candle"]
        book.open(opened + 10)
        await market.publish("BTCUSDT", trades=[book.trade((opened + 10) * 1_000_000)])
        moved = (await follower.next("candle"))["candle"]
    assert moved["window_start"] == held["window_start"]
    assert moved["trade_count"] == held["trade_count"] + 1


@pytest.mark.parametrize(
    ("message", "code", "detail"),
    [
        ("nonsense", "bad-message", "JSON"),
        ('{"type": "sing"}', "bad-message", "sing"),
        ('{"type": "subscribe"}', "bad-message", "streams"),
        ('{"type": "subscribe", "streams": []}', "bad-message", "length"),
        (json.dumps({"type": "subscribe", "streams": [BTC] * (MOST_STREAMS + 1)}), "bad-message", "length <= 64"),
        ('{"type": "subscribe", "streams": [{"symbol": "BTCUSDT", "interval": "7m"}]}', "bad-message", "7m"),
        ('{"type": "subscribe", "streams": [{"symbol": "BTCUSDT", "color": "red"}]}', "bad-message", "color"),
        ('{"type": "subscribe", "streams": [{"symbol": "NOPE"}]}', "unknown-symbol", "known are BTCUSDT"),
        ('{"type": "subscribe", "streams": [{"symbol": "X", "exchange": "y"}]}', "unknown-exchange", "known are"),
    ],
)
async def test_a_bad_message_is_told_and_the_connection_goes_on(
    api: httpx.AsyncClient, market: Market, message: str, code: str, detail: str
) -> None:
    await market.fill(2)
    async with following(api) as follower:
        await follower.connection.send(message)
        error = await follower.next("error")
        assert error["code"] == code
        assert detail in error["detail"]
        await follower.say("subscribe", BTC)
        await follower.next("snapshot")


async def test_too_many_streams_are_refused_one_by_one(settings: Settings, api: httpx.AsyncClient) -> None:
    symbols = [f"S{number:02}USDT" for number in range(MOST_STREAMS + 1)]
    async with Market(settings, symbols) as market:
        await market.fill(1)
        async with following(api, *({"symbol": symbol, "limit": 1} for symbol in symbols[:-1])) as follower:
            for _ in range(MOST_STREAMS):
                await follower.next("snapshot")
            await follower.say("subscribe", {"symbol": symbols[-1], "limit": 1})
            error = await follower.next("error")
            assert error["code"] == "too-many-streams"
            assert error["stream"]["symbol"] == symbols[-1]
            await follower.say("unsubscribe", {"symbol": symbols[0]})
            assert (await follower.next("unsubscribed"))["symbol"] == symbols[0]
            await follower.say("subscribe", {"symbol": symbols[-1]})
            assert (await follower.next("snapshot"))["symbol"] == symbols[-1]


async def test_an_unsubscribed_stream_is_silent(api: httpx.AsyncClient, market: Market) -> None:
    await market.fill(2)
    async with following(api, BTC) as follower:
        await follower.next("snapshot")
        await follower.say("unsubscribe", BTC)
        await follower.next("unsubscribed")
        await market.publish("BTCUSDT", trades=[market.books["BTCUSDT"].trade(time.time_ns() // 1000)])
        await follower.nothing("price", "candle", "trades", "state")
        await follower.connection.send('{"type": "ping"}')
        await follower.next("pong")


async def test_a_message_that_is_too_long_ends_the_connection(api: httpx.AsyncClient) -> None:
    async with following(api) as follower:
        await follower.connection.send("x" * 100_000)
        with pytest.raises(ConnectionClosed) as caught:
            await follower.next("error")
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009


async def test_any_origin_is_welcome(api: httpx.AsyncClient, market: Market) -> None:
    await market.fill(1)
    async with following(api, BTC, origin="https://example.org") as follower:
        await follower.next("snapshot")


async def test_a_restarted_api_counts_in_another_epoch(settings: Settings, market: Market) -> None:
    await market.fill(2)
    epochs = set()
    for _ in range(2):
        async with running(settings) as api:
            await until(lambda api=api: ready(api))  # type: ignore[misc]
            async with following(api, BTC) as follower:
                epochs.add((await follower.next("snapshot"))["epoch"])
    assert len(epochs) == 2


async def test_a_stop_tells_the_clients_to_come_back(settings: Settings, market: Market) -> None:
    await market.fill(1)
    async with contextlib.AsyncExitStack() as stack:
        async with running(settings) as api:
            follower = await stack.enter_async_context(following(api, BTC))
            await follower.next("snapshot")
        with pytest.raises(ConnectionClosed) as caught:
            await follower.next("nothing")
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012


async def test_redis_away_and_back(api: httpx.AsyncClient, market: Market, redis_server: RedisServer) -> None:
    await market.fill(3)
    async with following(api, BTC) as follower:
        first = await follower.next("snapshot")
        redis_server.pause()
        try:
            state = await follower.next("state")
            assert state["freshness"]["state"] == "disconnected"
            assert "Redis is away" in state["freshness"]["detail"]
            async with following(api, BTC) as other:  # the candles are still there
                assert len((await other.next("snapshot"))["candles"]) == 3
        finally:
            redis_server.resume()
        again = await follower.next("snapshot")
        assert again["epoch"] != first["epoch"]
        assert again["freshness"]["state"] != "disconnected"
        await market.publish("BTCUSDT", trades=[market.books["BTCUSDT"].trade(time.time_ns() // 1000)])
        await follower.next("trades")


async def test_postgresql_away_is_told_and_the_client_asks_again(
    api: httpx.AsyncClient, market: Market, settings: Settings, postgres: PostgresServer
) -> None:
    await market.fill(3)
    async with following(api, BTC) as follower:
        await follower.next("snapshot")
        postgres.pause()
        try:
            await market.publish("BTCUSDT", trades=[market.books["BTCUSDT"].trade(time.time_ns() // 1000)])
            await follower.next("trades")  # what is live needs no database
            await follower.say("subscribe", BTC | {"interval": "1h"})
            assert (await follower.next("error"))["code"] == "store-away"
        finally:
            postgres.resume()
        await until(lambda: ready(api))
        await follower.say("subscribe", BTC | {"interval": "1h"})
        await follower.next("snapshot")


async def test_a_frame_that_makes_no_sense_is_left_out(api: httpx.AsyncClient, market: Market) -> None:
    await market.fill(3)
    book = market.books["BTCUSDT"]
    senseless = Frame("binance", "BTCUSDT", candle=book.fields() | {"volume": "much"})
    async with following(api, BTC, BTC | {"interval": "1m"}) as follower:
        await follower.next("snapshot", interval="1m")
        for data in (b"nonsense", b"\x81\xa1x" + b"\x91" * 100_000, encode(senseless)):
            await market.redis.publish(channel_of(market.redis), data)
        await market.publish("BTCUSDT", trades=[book.trade(time.time_ns() // 1000)])
        await follower.next("candle", interval="1m")
        await follower.nothing("snapshot", for_s=1.5)  # it was not cut off
    assert await ready(api)


@contextlib.asynccontextmanager
async def deaf(api: httpx.AsyncClient) -> AsyncIterator[Callable[[bool], None]]:
    """A client that follows BTCUSDT over a narrow socket; the function makes it read, or not."""
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
    assert "nothing was read for 1 s" in closed.rcvd.reason


async def test_a_stuck_client_is_let_go_even_if_it_never_takes_the_reason(
    api: httpx.AsyncClient, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "LINGER_S", 0.0)
    closed = await closed_when_stuck(api, market, monkeypatch)
    assert closed.rcvd is None


async def closed_when_stuck(
    api: httpx.AsyncClient, market: Market, monkeypatch: pytest.MonkeyPatch
) -> ConnectionClosed:
    """How a client that reads again only after the server gave it up sees its end."""
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


async def test_what_a_client_asks_for_waits_until_it_has_read(
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


async def test_one_that_reads_is_shown_all_it_asks_for(api: httpx.AsyncClient, market: Market) -> None:
    await market.fill(KEPT)
    async with following(api, *[BTC] * MOST_STREAMS) as follower:
        for _ in range(MOST_STREAMS):
            assert len((await follower.next("snapshot"))["candles"]) == KEPT


BEHIND, STUCK = (f"marketstream_api_websocket_{name}_total" for name in ("behind", "stuck"))


async def count(api: httpx.AsyncClient, name: str) -> float:
    """What a counter of this process stands at: other tests may have raised it, too."""
    lines = (await api.get("/metrics")).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


async def has_risen(api: httpx.AsyncClient, name: str, before: float) -> bool:
    return await count(api, name) > before
