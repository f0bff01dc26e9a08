"""/ws over a real PostgreSQL and a real Redis, used like a browser does."""

import contextlib
import json
import time

import httpx
import pytest
from marketstream.api.live.messages import KEPT, MOST_STREAMS
from marketstream.local.postgres import PostgresServer
from marketstream.local.redis import RedisServer
from marketstream.redis.frames import Frame, channel_of, encode
from marketstream.settings import Settings
from websockets.exceptions import ConnectionClosed

from tests.browser.market import PROVEN_S, Market
from tests.harness.servers import pause, resume
from tests.integration.api.live.follower import BTC, following
from tests.integration.api.serving import ready, running, until


async def test_a_snapshot_equals_the_rest_endpoints(api: httpx.AsyncClient, market: Market) -> None:
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
        "state": "live", "detail": None, "complete_from": snapshot["open"]["window_start"] - PROVEN_S,
        "complete_until": snapshot["open"]["window_start"], "open_holes": 0,
    }  # fmt: skip


async def test_only_changes_are_sent(api: httpx.AsyncClient, market: Market) -> None:
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


async def test_a_correction_far_in_the_past_is_sent(api: httpx.AsyncClient, market: Market) -> None:
    opened = await market.fill(KEPT + 100)
    async with following(api, BTC) as follower:
        assert len((await follower.next("snapshot"))["candles"]) == KEPT
        await market.change("BTCUSDT", opened - 10 * (KEPT + 50), complete=False, incomplete_reason="hole")
        assert (await follower.next("candle", closed=True))["candle"]["window_start"] == opened - 10 * (KEPT + 50)


@pytest.mark.parametrize("interval", ["1m", "5m", "1h", "1d"])
async def test_the_open_candle_of_a_longer_interval_equals_its_parts(
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
        ('{"type": "subscribe", "streams": [{"symbol": "NOPE"}]}', "unknown-symbol", "Known symbols: BTCUSDT"),
        (
            '{"type": "subscribe", "streams": [{"symbol": "X", "exchange": "y"}]}',
            "unknown-exchange",
            "Known exchanges:",
        ),
    ],
)
async def test_a_bad_message_is_answered_and_the_connection_stays_open(
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


async def test_a_message_that_is_too_long_closes_the_connection(api: httpx.AsyncClient) -> None:
    async with following(api) as follower:
        await follower.connection.send("x" * 100_000)
        with pytest.raises(ConnectionClosed) as caught:
            await follower.next("error")
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009


async def test_any_origin_may_connect(api: httpx.AsyncClient, market: Market) -> None:
    await market.fill(1)
    async with following(api, BTC, origin="https://example.org") as follower:
        await follower.next("snapshot")


async def test_a_restarted_api_begins_a_new_epoch(settings: Settings, market: Market) -> None:
    await market.fill(2)
    epochs = set()
    for _ in range(2):
        async with running(settings) as api:
            await until(lambda api=api: ready(api))  # type: ignore[misc]
            async with following(api, BTC) as follower:
                epochs.add((await follower.next("snapshot"))["epoch"])
    assert len(epochs) == 2


async def test_a_stop_tells_clients_to_reconnect(settings: Settings, market: Market) -> None:
    await market.fill(1)
    async with contextlib.AsyncExitStack() as stack:
        async with running(settings) as api:
            follower = await stack.enter_async_context(following(api, BTC))
            await follower.next("snapshot")
        with pytest.raises(ConnectionClosed) as caught:
            await follower.next("nothing")
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012


async def test_redis_fails_and_returns(api: httpx.AsyncClient, market: Market, redis_server: RedisServer) -> None:
    await market.fill(3)
    async with following(api, BTC) as follower:
        first = await follower.next("snapshot")
        pause(redis_server)
        try:
            state = await follower.next("state")
            assert state["freshness"]["state"] == "disconnected"
            assert "Redis is unavailable" in state["freshness"]["detail"]
            async with following(api, BTC) as other:  # the candles are still there
                assert len((await other.next("snapshot"))["candles"]) == 3
        finally:
            resume(redis_server)
        again = await follower.next("snapshot")
        assert again["epoch"] != first["epoch"]
        assert again["freshness"]["state"] != "disconnected"
        await market.publish("BTCUSDT", trades=[market.books["BTCUSDT"].trade(time.time_ns() // 1000)])
        await follower.next("trades")


async def test_an_unavailable_postgresql_is_reported_and_a_client_can_retry(
    api: httpx.AsyncClient, market: Market, settings: Settings, postgres: PostgresServer
) -> None:
    await market.fill(3)
    async with following(api, BTC) as follower:
        await follower.next("snapshot")
        pause(postgres)
        try:
            await market.publish("BTCUSDT", trades=[market.books["BTCUSDT"].trade(time.time_ns() // 1000)])
            await follower.next("trades")  # what is live needs no database
            await follower.say("subscribe", BTC | {"interval": "1h"})
            assert (await follower.next("error"))["code"] == "store-away"
        finally:
            resume(postgres)
        await until(lambda: ready(api))
        await follower.say("subscribe", BTC | {"interval": "1h"})
        await follower.next("snapshot")


async def test_an_invalid_frame_is_skipped(api: httpx.AsyncClient, market: Market) -> None:
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
