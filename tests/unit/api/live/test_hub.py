"""The hub and its symbols, with stores that the test delays, and with frames that fail."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, Self, cast

import msgspec
import pytest
from marketstream.api.live.client import Client
from marketstream.api.live.hub import Hub
from marketstream.api.live.symbol import LiveSymbol
from marketstream.market.window import INTERVALS
from marketstream.postgres.reader import CandleRow, StoreReader
from marketstream.redis.errors import LiveStoreRefusedError, LiveStoreUnavailableError
from marketstream.redis.frames import Frame, FrameListener, FramePrice
from marketstream.redis.hashes import LiveStatus
from marketstream.redis.reader import Live, LiveReader
from structlog.testing import capture_logs

BTC = "binance", "BTCUSDT"


class Stores:
    """PostgreSQL without candles, and Redis with live symbols. Both answer while `open` is set."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.waiting = asyncio.Event()

    async def candles(self, *_: object) -> list[CandleRow]:
        self.waiting.set()
        await self.open.wait()
        return []

    async def live(self, symbols: Sequence[tuple[str, str]]) -> list[Live]:
        now = time.time()
        return [Live("1", None, None, LiveStatus("1", 1, now, now, 1, None, None, now)) for _ in symbols]


class Listener:
    """Frames from the test. An exception among them is raised."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[Any] = asyncio.Queue()

    @contextlib.asynccontextmanager
    async def subscribed(self) -> AsyncIterator[AsyncGenerator[Frame, None]]:
        yield self._heard()

    async def _heard(self) -> AsyncGenerator[Frame, None]:
        while True:
            frame = await self.frames.get()
            if isinstance(frame, Exception):
                raise frame
            yield frame


class Outlet:
    """The messages of one client."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def write(self, frames: bytes) -> None:
        while frames:
            size, begin = frames[1], 2
            if size >= 126:
                begin = {126: 4, 127: 10}[size]
                size = int.from_bytes(frames[2:begin])
            self.messages.append(msgspec.json.decode(frames[begin : begin + size]))
            frames = frames[begin + size :]

    def buffered(self) -> int:
        return 0

    def give_up(self, code: int, reason: str) -> None:
        raise AssertionError(code, reason)

    async def next(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(5):
            while True:
                while self.messages:
                    if (message := self.messages.pop(0))["type"] == kind:
                        return message
                await asyncio.sleep(0.01)


class Scene:
    """A running hub with one client that follows BTCUSDT."""

    def __init__(self) -> None:
        self.stores, self.listener, self.outlet = Stores(), Listener(), Outlet()
        self.hub = Hub(
            cast("FrameListener", self.listener), cast("StoreReader", self.stores), cast("LiveReader", self.stores)
        )

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.hub.run())
        await asyncio.sleep(0)
        client = Client(self.outlet)
        self.hub.join(client)
        await self.hub.follow(client, *BTC, INTERVALS["10s"], 10)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert not self.task.done()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def price(self, number: int) -> None:
        """Publish a valid frame and wait until the client has received it."""
        now = f"{time.time():.6f}"
        self.listener.frames.put_nowait(
            Frame(*BTC, price=FramePrice("2", now, number), status={"heard_until": now, "last_trade_time": now})
        )
        assert (await self.outlet.next("price"))["price"]["trade_id"] == number


async def test_a_redis_that_cannot_be_used_is_told_in_one_line_and_tried_again() -> None:
    async with Scene() as scene:
        await scene.price(7)
        with capture_logs() as lines:
            scene.listener.frames.put_nowait(LiveStoreRefusedError("REDIS_URL cannot be used: it is a Redis Cluster"))
            assert "it is a Redis Cluster" in (await scene.outlet.next("state"))["freshness"]["detail"]
            await scene.outlet.next("snapshot")
        assert [line["event"] for line in lines] == ["live data disconnected, will reconnect", "live data connected"]


async def test_no_partial_state_is_sent_while_everything_is_read_again() -> None:
    async with Scene() as scene:
        await scene.price(7)
        scene.stores.open.clear()
        scene.stores.waiting.clear()
        scene.listener.frames.put_nowait(LiveStoreUnavailableError("gone"))
        assert (await scene.outlet.next("state"))["freshness"]["state"] == "disconnected"
        async with asyncio.timeout(5):
            await scene.stores.waiting.wait()
        await asyncio.sleep(1.3)  # the hub looks at what time changes every second
        assert [message["type"] for message in scene.outlet.messages] == []
        scene.stores.open.set()
        snapshot = await scene.outlet.next("snapshot")
        assert snapshot["freshness"]["state"] == "live"


@pytest.mark.parametrize("method", ["take", "flush"])
async def test_a_failing_symbol_is_logged_and_does_not_affect_others(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    real = getattr(LiveSymbol, method)

    def fails(live: LiveSymbol, *arguments: Any) -> Any:
        if live.name == ("other", "BAD"):
            raise ZeroDivisionError
        return real(live, *arguments)

    monkeypatch.setattr(LiveSymbol, method, fails)
    with capture_logs() as lines:
        async with Scene() as scene:
            scene.listener.frames.put_nowait(Frame("other", "BAD"))
            await scene.price(7)
            await asyncio.sleep(1.3)  # it is looked at every second, too
            await scene.price(8)
    failures = [line for line in lines if line["log_level"] == "error"]
    assert failures
    assert {(line["symbol"], line["exc_info"]) for line in failures} == {("BAD", True)}


async def test_live_data_that_fails_restarts() -> None:
    with capture_logs() as lines:
        async with Scene() as scene:
            await scene.price(7)
            scene.listener.frames.put_nowait(ZeroDivisionError("a bug"))
            state = await scene.outlet.next("state")
            assert state["freshness"]["detail"] == "disconnected from live data: ZeroDivisionError: a bug"
            await scene.outlet.next("snapshot")
            await scene.price(8)
    assert "live data failed, will restart" in {line["event"] for line in lines}
