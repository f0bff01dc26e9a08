"""Read the live state of several symbols in one round trip."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from marketstream.redis.errors import LiveStoreContentError, translated_errors
from marketstream.redis.hashes import LiveCandle, LiveStatus, parse_hash
from marketstream.redis.keys import Keys

LIMIT_S: Final = 3.0
"""Maximum seconds of one read, including retries."""

T = TypeVar("T")


class Live(msgspec.Struct, frozen=True, gc=False):
    """The live state of one symbol; None for keys that do not exist."""

    price: str | None
    current_candle: LiveCandle | None
    last_candle: LiveCandle | None
    status: LiveStatus | None


class LiveReader:
    """Reader of the live state. Symbols are given as pairs of exchange and symbol."""

    def __init__(self, redis: Redis, *, limit_s: float = LIMIT_S) -> None:
        self._redis = redis
        self._limit_s = limit_s

    async def live(self, symbols: Sequence[tuple[str, str]]) -> list[Live]:
        """Return the live state of each symbol, in the given order.

        Raises LiveStoreUnavailableError, LiveStoreContentError.
        """
        keys = [Keys.of(*symbol) for symbol in symbols]
        answers = await self._ask(
            [command for k in keys for command in (("GET", k.price), *(("HGETALL", name) for name in k[1:]))]
        )
        return [
            Live(
                price,
                _hash(k.current_candle, current, LiveCandle),
                _hash(k.last_candle, last, LiveCandle),
                _hash(k.status, status, LiveStatus),
            )
            for k, price, current, last, status in zip(
                keys, answers[0::4], answers[1::4], answers[2::4], answers[3::4], strict=True
            )
        ]

    async def statuses(self, symbols: Sequence[tuple[str, str]]) -> list[LiveStatus | None]:
        """Return the status of each symbol, in the given order; None for a symbol without one.

        Raises LiveStoreUnavailableError, LiveStoreContentError.
        """
        names = [Keys.of(*symbol).status for symbol in symbols]
        answers = await self._ask([("HGETALL", name) for name in names])
        return [_hash(name, answer, LiveStatus) for name, answer in zip(names, answers, strict=True)]

    async def each_status(self, symbols: Sequence[tuple[str, str]]) -> list[LiveStatus | LiveStoreContentError | None]:
        """Return the same as `statuses`, but for a symbol with an invalid status its LiveStoreContentError.

        Raises LiveStoreUnavailableError.
        """
        names = [Keys.of(*symbol).status for symbol in symbols]
        answers = await self._ask([("HGETALL", name) for name in names], raises=False)
        return [_status(name, answer) for name, answer in zip(names, answers, strict=True)]

    async def ping(self) -> None:
        """Raise LiveStoreUnavailableError if Redis does not answer."""
        await self._ask([("PING",)])

    async def _ask(self, commands: Sequence[tuple[str, ...]], *, raises: bool = True) -> list[Any]:
        """Return the answers. If Redis refuses a command, raise LiveStoreContentError, or answer with its error."""
        pipeline = self._redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        with translated_errors():
            try:
                async with asyncio.timeout(self._limit_s):
                    return await pipeline.execute(raise_on_error=raises)
            except ResponseError as error:
                raise _refused(error) from error


def _refused(error: ResponseError) -> LiveStoreContentError:
    return LiveStoreContentError(f"Redis refuses the read: {error}")


def _status(key: str, answer: Any) -> LiveStatus | LiveStoreContentError | None:
    if isinstance(answer, ResponseError):
        return _refused(answer)
    try:
        return _hash(key, answer, LiveStatus)
    except LiveStoreContentError as error:
        return error


def _hash(key: str, fields: Mapping[str, str], form: type[T]) -> T | None:
    return parse_hash(fields, form, f"the hash {key} in Redis") if fields else None
