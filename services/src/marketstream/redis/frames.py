"""Frames: the changes of a symbol's live state, which a processor publishes and the API receives.

A processor publishes a frame whenever it has written the live state. A frame has the changes of a few milliseconds.
Redis does not store frames: after a lost connection, the API reads the keys instead.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from marketstream.authorities import redis_url
from marketstream.redis.address import address_of
from marketstream.redis.errors import LiveStoreContentError, translated_errors
from marketstream.redis.hashes import LiveCandle, LiveStatus, Number, parse_hash
from marketstream.redis.servers import pool_of
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)

MOST_TRADES: Final = 50
"""Maximum number of trades in a frame: the newest since the previous frame."""

CONNECT_S: Final = 2.0
SILENCE_S: Final = 2.0
"""Seconds without a frame after which the listener pings Redis, and within which Redis must answer.

An owned symbol is published at least every second.
"""


class FramePrice(msgspec.Struct, frozen=True, gc=False):
    """The price of the newest trade. `time` is in Unix seconds, as text with all digits."""

    price: Number
    time: Number
    id: int


class FrameTrade(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One trade, encoded as [id, Unix µs, price, quantity, taker bought]."""

    id: int
    time_us: int
    price: str
    quantity: str
    taker_buy: bool


class Frame(msgspec.Struct, frozen=True, omit_defaults=True):
    """The live state of one symbol and its changes since the last frame, encoded as a MsgPack map.

    `candle` and `status` have the fields of the hashes `<exchange>:<SYMBOL>:current_candle` and
    `stream:<exchange>:<SYMBOL>` as in Redis: all values are text, and empty text means none.
    """

    exchange: str
    symbol: str
    received_us: int | None = None
    """Time at which the newest trade of the frame was received from the exchange, Unix µs."""
    price: FramePrice | None = None
    candle: dict[str, str] | None = None
    changed: list[int] = []
    """Starts (Unix seconds) of the closed 10-second windows that commits have stored or corrected."""
    trades: list[FrameTrade] = []
    """The newest trades since the last frame, oldest first, at most MOST_TRADES."""
    status: dict[str, str] = msgspec.field(name="stream", default={})
    """Encoded as `stream`, the first word of its key in Redis."""

    def open_candle(self) -> LiveCandle | None:
        """Return the open candle. Raises LiveStoreContentError when its fields are invalid."""
        return parse_hash(self.candle, LiveCandle, "a frame") if self.candle else None

    def live_status(self) -> LiveStatus:
        """Return the live status. Raises LiveStoreContentError when its fields are invalid."""
        return parse_hash(self.status, LiveStatus, "a frame")


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Frame)

encode = _encoder.encode


def channel_of(redis: Redis) -> str:
    """Return the channel of the frames. Its name has the number of the database: all databases share their channels."""
    return f"marketstream:frames:{redis.connection_pool.connection_kwargs.get('db') or 0}"


def decode(data: bytes) -> Frame:
    """Return the frame in `data`. Raises LiveStoreContentError, which says why `data` is not a frame."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LiveStoreContentError(f"a frame of {len(data)} bytes cannot be decoded: {error}") from error


class FrameListener:
    """Receiver of all frames, on a connection of its own."""

    def __init__(self, settings: Settings, *, silence_s: float = SILENCE_S) -> None:
        """Raises SettingsError when REDIS_URL is missing or cannot be used."""
        settings.require("redis_url")
        self._address = address_of(redis_url(settings))
        self._silence_s = silence_s

    @contextlib.asynccontextmanager
    async def subscribed(self) -> AsyncIterator[AsyncGenerator[Frame, None]]:
        """Subscribe to the frames. The generator yields every frame that is published while the block runs.

        Entering the block and waiting for a frame raise LiveStoreUnavailableError when Redis is unreachable or silent.
        """
        pool = pool_of(
            self._address, socket_connect_timeout=CONNECT_S, socket_timeout=None, retry=Retry(NoBackoff(), 0),
            client_name="marketstream-frames",
        )  # fmt: skip
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
                log.warning("undecodable frame skipped", error=str(error))

    async def _message(self, pubsub: PubSub) -> dict[str, Any]:
        """Return the next message. If there is none for a while, Redis must answer a ping.

        Otherwise a frozen Redis, or a network that drops all packets, would look like a quiet market forever.
        """
        with translated_errors():
            message = await pubsub.get_message(timeout=self._silence_s)
            if message is None:
                await pubsub.ping()
                message = await pubsub.get_message(timeout=self._silence_s)
                if message is None:
                    raise TimeoutError
        return dict(message)
