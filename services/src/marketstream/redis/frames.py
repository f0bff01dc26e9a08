"""What a processor publishes of a symbol whenever it has written its live state, and how the API hears it.

A frame tells what changed within a few milliseconds. Redis keeps none: whoever was away reads the keys instead.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from marketstream.redis.errors import LiveStoreContentError, translated_errors
from marketstream.redis.hashes import LiveCandle, LiveStatus, Number, parse_hash
from marketstream.redis.servers import pool_of
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)

MOST_TRADES: Final = 50
"""Most trades in a frame: the newest of those since the frame before."""

CONNECT_S: Final = 2.0
SILENCE_S: Final = 2.0
"""Seconds without a frame after which Redis is asked for a sign, and within which it must give one. An owned symbol is
published at least every second."""


class FramePrice(msgspec.Struct, frozen=True, gc=False):
    """The price of the newest trade; `time` is Unix seconds as text, with all their digits."""

    price: Number
    time: Number
    id: int


class FrameTrade(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One trade, as [id, Unix µs, price, quantity, whether the taker bought]."""

    id: int
    time_us: int
    price: str
    quantity: str
    taker_buy: bool


class Frame(msgspec.Struct, frozen=True, omit_defaults=True):
    """The live state of one symbol and what has changed since its last frame: a MsgPack map.

    `candle` and `status` hold the fields of the hashes `<exchange>:<SYMBOL>:current_candle` and
    `stream:<exchange>:<SYMBOL>` as they are in Redis: all text, empty for none.
    """

    exchange: str
    symbol: str
    received_us: int | None = None
    """When the newest trade in it was heard from the exchange, Unix µs."""
    price: FramePrice | None = None
    candle: dict[str, str] | None = None
    changed: list[int] = []
    """Starts (Unix s) of the closed 10-second windows that a commit has stored or corrected."""
    trades: list[FrameTrade] = []
    """The newest trades since the last frame, oldest first, at most MOST_TRADES."""
    status: dict[str, str] = msgspec.field(name="stream", default={})
    """Travels as `stream`, the first word of its key in Redis."""

    def open_candle(self) -> LiveCandle | None:
        """The open candle. Raises LiveStoreContentError when the fields are not those of one."""
        return parse_hash(self.candle, LiveCandle, "a frame") if self.candle else None

    def live_status(self) -> LiveStatus:
        """How fresh the symbol is. Raises LiveStoreContentError when the fields make no sense."""
        return parse_hash(self.status, LiveStatus, "a frame")


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Frame)

encode = _encoder.encode


def channel_of(redis: Redis) -> str:
    """The channel of the frames. Redis has one set of channels for all its databases, so the name says which it is."""
    return f"marketstream:frames:{redis.connection_pool.connection_kwargs.get('db') or 0}"


def decode(data: bytes) -> Frame:
    """The frame in `data`. Raises LiveStoreContentError, saying what is wrong with it."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LiveStoreContentError(f"a frame of {len(data)} bytes is not a processor's: {error}") from error


class FrameListener:
    """Hears every frame on one connection of its own."""

    def __init__(self, settings: Settings, *, silence_s: float = SILENCE_S) -> None:
        settings.require("redis_url")
        self._url = settings.redis_url
        self._silence_s = silence_s

    @contextlib.asynccontextmanager
    async def subscribed(self) -> AsyncIterator[AsyncGenerator[Frame, None]]:
        """Once the block is entered, no frame is missed that the generator does not give.

        Entering it and each frame raise LiveStoreUnavailableError when Redis is away or falls silent.
        """
        pool = pool_of(
            self._url, socket_connect_timeout=CONNECT_S, socket_timeout=None, client_name="marketstream-frames"
        )
        redis = Redis.from_pool(pool)
        pubsub = redis.pubsub(ignore_subscribe_messages=False)
        try:
            with translated_errors():
                async with asyncio.timeout(CONNECT_S):
                    await pubsub.subscribe(channel_of(redis))
                    await pubsub.get_message(timeout=CONNECT_S)  # the confirmation
            yield self._frames(pubsub)
        finally:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_S):
                    await pubsub.aclose()  # type: ignore[no-untyped-call]
                    await redis.aclose()

    async def _frames(self, pubsub: PubSub) -> AsyncGenerator[Frame, None]:
        while True:
            message = await self._message(pubsub)
            if message["type"] != "message":
                continue
            try:
                yield decode(message["data"])
            except LiveStoreContentError as error:
                log.warning("frame set aside", error=str(error))

    async def _message(self, pubsub: PubSub) -> dict[str, Any]:
        """The next message. A silent Redis must answer a ping: a frozen one, or a network that drops everything, would
        look the same as a quiet market for ever."""
        with translated_errors():
            message = await pubsub.get_message(timeout=self._silence_s)
            if message is None:
                await pubsub.ping()
                message = await pubsub.get_message(timeout=self._silence_s)
                if message is None:
                    raise TimeoutError
        return dict(message)
