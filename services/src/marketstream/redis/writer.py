"""Write live state to Redis through a script that refuses data older than the stored data."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any, Final, Literal

import msgspec
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError

from marketstream.redis.errors import translated_errors
from marketstream.redis.frames import Frame, channel_of, encode
from marketstream.redis.keys import Keys
from marketstream.telemetry import logger

log = logger(__name__)

LIMIT_S: Final = 3.0
"""Maximum seconds of one round trip, including retries."""

Call = tuple[str, list[str], Sequence[int | str | bytes]]
"""A call of a script: its digest, keys and arguments."""

Outcome = Literal["ok", "fenced", "lost", "foreign"]

# A claim can only raise the fence: an earlier owner may have been stopped for long, and then wake up.
_CLAIM: Final = """
local text = redis.call('HGET', KEYS[1], 'fence')
local held = text and #text <= 18 and string.match(text, '^%d+$') and tonumber(text) or -1
if held > tonumber(ARGV[1]) then return 'fenced' end
redis.call('HSET', KEYS[1], 'fence', ARGV[1])
return 'ok'
"""


_FENCE: Final = re.compile("[0-9]{1,18}")
"""The form of a fence that a processor writes. Any other value was written by another program."""


class LiveState(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The live state of a symbol. All values are text, as in Redis; None is not written.

    `current` and `last` are candles, with the fields of the API's candle except `vwap`, and with `fence`. `status` has
    the freshness of the data.
    """

    status: dict[str, str]
    price: str | None = None
    price_id: str | None = None
    price_time: str | None = None
    current: dict[str, str] | None = None
    last: dict[str, str] | None = None


class LiveWriter:
    """Writer of the live state of owned symbols, which are pairs of exchange and symbol, each with its owner's fence.

    Every method raises LiveStoreUnavailableError when Redis is unreachable or does not answer in time.
    """

    def __init__(self, redis: Redis, default_exchange: str) -> None:
        self._redis = redis
        self._channel = channel_of(redis)
        self._default_exchange = default_exchange
        self._foreign: set[tuple[str, str]] = set()
        self._write = redis.register_script(files("marketstream.redis").joinpath("live.lua").read_text())
        self._claim = redis.register_script(_CLAIM)
        self._encode = msgspec.msgpack.Encoder().encode

    async def fences(self, symbols: Sequence[tuple[str, str]]) -> list[int]:
        """Return the fence of each symbol in Redis, 0 if there is none."""
        with translated_errors():
            async with asyncio.timeout(LIMIT_S):
                pipeline = self._redis.pipeline(transaction=False)
                for symbol in symbols:
                    pipeline.hget(Keys.of(*symbol).status, "fence")
                return [int(fence) if fence and _FENCE.fullmatch(fence) else 0 for fence in await _answers(pipeline)]

    async def claim(self, fences: dict[tuple[str, str], int]) -> dict[tuple[str, str], Outcome]:
        """Claim the symbols: from now on, Redis refuses writes of owners with a lower fence.

        The outcome of a symbol is "ok", "fenced" if a later owner has claimed it already, or "foreign" as in `write`.
        """
        return await self._evaluate(
            {symbol: (self._claim.sha, [Keys.of(*symbol).status], [fence]) for symbol, fence in fences.items()}
        )

    async def write(
        self, states: dict[tuple[str, str], tuple[int, LiveState, Frame]]
    ) -> dict[tuple[str, str], Outcome]:
        """Write the state of each symbol under its fence and publish its frame, in one round trip.

        The outcome of a symbol is "ok", "fenced" if a later owner has claimed it, "lost" if Redis does not know the
        claim, so that the symbol must be claimed again, or "foreign" if the type of a key of the symbol is not the
        one that is written here. The log then names the key.
        """
        return await self._evaluate(
            {
                symbol: (
                    self._write.sha,
                    self._keys(*symbol),
                    [fence, self._encode(state), self._channel, encode(frame)],
                )
                for symbol, (fence, state, frame) in states.items()
            }
        )

    def _keys(self, exchange: str, symbol: str) -> list[str]:
        keys = Keys.of(exchange, symbol)
        exact = [keys.status, keys.price, keys.current_candle, keys.last_candle]
        return [*exact, *Keys.short(symbol)] if exchange == self._default_exchange else exact

    async def _evaluate(self, calls: dict[tuple[str, str], Call]) -> dict[tuple[str, str], Outcome]:
        with translated_errors():
            async with asyncio.timeout(LIMIT_S):
                try:
                    answers = await self._pipeline(calls.values())
                except NoScriptError:  # a restarted Redis has no scripts
                    for script in (self._write, self._claim):
                        await self._redis.script_load(script.script)
                    answers = await self._pipeline(calls.values())
                outcomes: dict[tuple[str, str], Outcome] = dict(zip(calls, answers, strict=True))
                await self._log_foreign(outcomes)
                return outcomes

    async def _pipeline(self, calls: Iterable[Call]) -> list[Outcome]:
        pipeline = self._redis.pipeline(transaction=False)
        for sha, keys, arguments in calls:
            pipeline.evalsha(sha, len(keys), *keys, *arguments)
        return await _answers(pipeline)

    async def _log_foreign(self, outcomes: dict[tuple[str, str], Outcome]) -> None:
        """Log, once for each symbol, its keys whose type is not the one that is written here."""
        self._foreign -= {symbol for symbol, outcome in outcomes.items() if outcome != "foreign"}
        for symbol in [symbol for symbol, outcome in outcomes.items() if outcome == "foreign"]:
            if symbol not in self._foreign:
                keys = Keys.of(*symbol)
                hashes = (keys.status, keys.current_candle, keys.last_candle)
                found = {key: kind for key in hashes if (kind := await self._type(key)) not in ("hash", "none")}
                log.error(
                    "foreign keys found in Redis, symbol not published: delete these keys, or give MarketStream a "
                    "database of its own",
                    exchange=symbol[0],
                    symbol=symbol[1],
                    keys=found,
                )
                self._foreign.add(symbol)

    async def _type(self, key: str) -> str:
        try:
            return str(await self._redis.type(key))
        except ResponseError:  # a user who may not use TYPE: the other symbols must be published all the same
            return "unknown"


async def _answers(pipeline: Any) -> list[Any]:
    """Return the answer to each command of the pipeline, or "foreign" for a key of another type.

    Such a key concerns one symbol only. Any other error concerns all of them and is raised.
    """
    answers = await pipeline.execute(raise_on_error=False)
    for answer in answers:
        if isinstance(answer, Exception) and not _is_foreign(answer):
            raise answer
    return ["foreign" if isinstance(answer, Exception) else answer for answer in answers]


def _is_foreign(error: Exception) -> bool:
    return isinstance(error, ResponseError) and "WRONGTYPE" in str(error)
