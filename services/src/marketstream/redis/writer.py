"""Writes live state to Redis through one script, which refuses what is older than what is there."""

import asyncio
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
"""Seconds for one round trip, retries included."""

Call = tuple[str, list[str], Sequence[int | str | bytes]]
"""A call of a script: its digest, keys and arguments."""

Outcome = Literal["ok", "fenced", "lost", "foreign"]

# A claim only ever raises the fence: the owner before may have been stopped for long, and wake.
_CLAIM: Final = """
local held = tonumber(redis.call('HGET', KEYS[1], 'fence') or '-1')
if held > tonumber(ARGV[1]) then return 'fenced' end
redis.call('HSET', KEYS[1], 'fence', ARGV[1])
return 'ok'
"""


class LiveState(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What is live of a symbol. All values are text, as Redis holds them; None is not written.

    The candles have the fields of a candle of the API and `fence`; `status` says how fresh all of it is.
    """

    status: dict[str, str]
    price: str | None = None
    price_id: str | None = None
    price_time: str | None = None
    current: dict[str, str] | None = None
    last: dict[str, str] | None = None


class LiveWriter:
    """The owner's side of the live state. Symbols are pairs of exchange and symbol, each with the owner's fence.

    Every method raises LiveStoreUnavailableError when Redis is away or does not answer in time.
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
        """The fence that Redis knows of each symbol, 0 for none."""
        with translated_errors():
            async with asyncio.timeout(LIMIT_S):
                pipeline = self._redis.pipeline(transaction=False)
                for symbol in symbols:
                    pipeline.hget(Keys.of(*symbol).status, "fence")
                return [0 if fence == "foreign" else int(fence or 0) for fence in await _answers(pipeline)]

    async def claim(self, fences: dict[tuple[str, str], int]) -> dict[tuple[str, str], Outcome]:
        """From now on what owners with a lower fence write is refused. "fenced" where a later owner was here first,
        "foreign" as in `write`."""
        return await self._evaluate(
            {symbol: (self._claim.sha, [Keys.of(*symbol).status], [fence]) for symbol, fence in fences.items()}
        )

    async def write(
        self, states: dict[tuple[str, str], tuple[int, LiveState, Frame]]
    ) -> dict[tuple[str, str], Outcome]:
        """Writes the state of each symbol under its fence and publishes its frame, in one round trip.

        "fenced": a later owner has claimed the symbol. "lost": Redis does not know the claim; claim again.
        "foreign": a key of the symbol is not of the type that is written here; it is named in the log.
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
                except NoScriptError:  # a restarted Redis knows no scripts
                    for script in (self._write, self._claim):
                        await self._redis.script_load(script.script)
                    answers = await self._pipeline(calls.values())
                outcomes: dict[tuple[str, str], Outcome] = dict(zip(calls, answers, strict=True))
                await self._tell_foreign(outcomes)
                return outcomes

    async def _pipeline(self, calls: Iterable[Call]) -> list[Outcome]:
        pipeline = self._redis.pipeline(transaction=False)
        for sha, keys, arguments in calls:
            pipeline.evalsha(sha, len(keys), *keys, *arguments)
        return await _answers(pipeline)

    async def _tell_foreign(self, outcomes: dict[tuple[str, str], Outcome]) -> None:
        """Logs, once for each symbol, which key is not what is written here."""
        self._foreign -= {symbol for symbol, outcome in outcomes.items() if outcome != "foreign"}
        for symbol in [symbol for symbol, outcome in outcomes.items() if outcome == "foreign"]:
            if symbol not in self._foreign:
                keys = Keys.of(*symbol)
                hashes = (keys.status, keys.current_candle, keys.last_candle)
                found = {key: kind for key in hashes if (kind := await self._redis.type(key)) not in ("hash", "none")}
                log.error(
                    "keys in Redis are not the hashes that are written here, so this symbol is not shown: delete them, "
                    "or give MarketStream a database of its own",
                    exchange=symbol[0],
                    symbol=symbol[1],
                    keys=found,
                )
                self._foreign.add(symbol)


async def _answers(pipeline: Any) -> list[Any]:
    """What each command of the pipeline came to; "foreign" for a key of another type, which is the trouble of one
    symbol only. Any other error is that of all, and raised."""
    answers = await pipeline.execute(raise_on_error=False)
    for answer in answers:
        if isinstance(answer, Exception) and not _is_foreign(answer):
            raise answer
    return ["foreign" if isinstance(answer, Exception) else answer for answer in answers]


def _is_foreign(error: Exception) -> bool:
    return isinstance(error, ResponseError) and "WRONGTYPE" in str(error)
