"""Read the live state of several symbols in one round trip."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from marketstream.redis.errors import LiveStoreContentError, LiveStoreError, LiveStoreRefusedError, translated_errors
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

        Raises LiveStoreError.
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

        Raises LiveStoreError.
        """
        names = [Keys.of(*symbol).status for symbol in symbols]
        answers = await self._ask([("HGETALL", name) for name in names])
        return [_hash(name, answer, LiveStatus) for name, answer in zip(names, answers, strict=True)]

    async def each_status(self, symbols: Sequence[tuple[str, str]]) -> list[LiveStatus | LiveStoreError | None]:
        """Return the same as `statuses`, but for a symbol that cannot be read its error.

        The error is a LiveStoreContentError for an invalid status, and a LiveStoreRefusedError for a key that the user
        may not read. Raises LiveStoreUnavailableError.
        """
        names = [Keys.of(*symbol).status for symbol in symbols]
        answers = await self._ask([("HGETALL", name) for name in names], raises=False)
        return [_status(name, answer) for name, answer in zip(names, answers, strict=True)]

    async def ping(self) -> None:
        """Raise LiveStoreUnavailableError if Redis does not answer."""
        await self._ask([("PING",)])

    async def _ask(self, commands: Sequence[tuple[str, ...]], *, raises: bool = True) -> list[Any]:
        """Return the answers. The error of a single key is raised, or stands in place of its answer."""
        pipeline = self._redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        with translated_errors():
            async with asyncio.timeout(self._limit_s):
                answers = await pipeline.execute(raise_on_error=False)
            answers = [_answer(command, answer) for command, answer in zip(commands, answers, strict=True)]
        for answer in answers:
            if raises and isinstance(answer, LiveStoreError):
                raise answer
        return answers


def _answer(command: Sequence[str], answer: Any) -> Any:
    """Return the answer, or the error of a single key. Raises any other error, which concerns all keys."""
    if isinstance(answer, NoPermissionError):
        return LiveStoreRefusedError(f"Redis refuses {' '.join(command)}: {answer}")
    if isinstance(answer, ResponseError) and "WRONGTYPE" in str(answer):
        return LiveStoreContentError(f"Redis refuses {' '.join(command)}: {answer}")
    if isinstance(answer, Exception):
        raise answer
    return answer


def _status(key: str, answer: Any) -> LiveStatus | LiveStoreError | None:
    if isinstance(answer, LiveStoreError):
        return answer
    try:
        return _hash(key, answer, LiveStatus)
    except LiveStoreContentError as error:
        return error


def _hash(key: str, fields: Mapping[str, str], form: type[T]) -> T | None:
    return parse_hash(fields, form, f"the hash {key} in Redis") if fields else None
