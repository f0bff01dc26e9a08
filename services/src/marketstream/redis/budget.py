"""The weight of requests that an exchange allows from one address, shared by all processes through Redis.

A token bucket: what is taken flows in again over time. Binance counts by the minute (Binance Spot API, REST API: IP
Limits), so a full bucket and what flows in during a minute must stay below the limit together. When the exchange says
stop (429, 418), the time until which is kept in Redis too, and every process stops.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from importlib.resources import files
from random import Random
from typing import Final, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError

from marketstream.redis.errors import said
from marketstream.telemetry import logger

log = logger(__name__)

LIMIT_A_MINUTE: Final = 6_000
"""What Binance allows (Exchange information: rateLimits, REQUEST_WEIGHT)."""

SHARE: Final = 0.8
"""How much of it is spent here; the rest is left to other programs behind the same address."""

ALONE: Final = 0.1
"""Part of our share that a process takes for itself while Redis is away: ten of them may do so at once."""

ANSWER_S: Final = 1.0
"""Seconds that Redis has for an answer."""

AWAY_S: Final = 5.0
"""Seconds for which Redis is not asked again after it did not answer: history must not wait for it each time."""

_BURST: Final = 0.25
_JITTER: Final = 0.2
_LEAST_WAIT_S: Final = 0.01


class BudgetSpentError(Exception):
    """There will be no weight for longer than the caller would wait: at the earliest after `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class _Answer(NamedTuple):
    """Whether everyone was told to stop, and seconds until it is worth another try; 0: the weight was taken."""

    stopped: bool
    wait_s: float


class Budget:
    """A share of `limit` weight a minute. With no `redis`, or while it is away, a tenth of that share.

    `name` tells the budgets of several exchanges apart; `now_s` is any clock that only goes forward.
    """

    def __init__(
        self,
        redis: Redis | None = None,
        name: str = "binance",
        *,
        limit: int = LIMIT_A_MINUTE,
        share: float = SHARE,
        most_wait_s: float = 60.0,
        now_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: Random | None = None,
        whole: "Budget | None" = None,
    ) -> None:
        """`most_wait_s` is for how long, in seconds, `acquire` waits at most. Of which `whole` it is a part, `part`
        says."""
        self._redis = redis
        self._name = name
        self._key = f"budget:{name}"
        self._share = share
        self._whole = whole
        self.limit = limit
        """What the exchange allows a minute, to everyone behind our address."""
        most = limit * share * _BURST
        per_minute = limit * share - most
        self._shared = (most, per_minute)
        self._alone = _Bucket(most * ALONE, per_minute * ALONE, now_s)
        self._most_wait_s = most_wait_s
        self._now_s = now_s
        self._sleep = sleep
        self._rng = rng or Random()
        self._ask_from_s = 0.0
        self._script = redis.register_script(_SCRIPT) if redis is not None else None

    def part(self, name: str, share: float) -> "Budget":
        """At most a `share` of this budget, for what must leave the rest to others. What is taken from the part is
        taken from the whole, too; nothing is set aside, so others may have all that the part does not take."""
        return Budget(
            self._redis, f"{self._name}:{name}", limit=self.limit, share=self._share * share,
            most_wait_s=self._most_wait_s, now_s=self._now_s, sleep=self._sleep, rng=self._rng, whole=self,
        )  # fmt: skip

    async def acquire(self, weight: int) -> None:
        """Waits until `weight` may be spent, and spends it. Raises BudgetSpentError when that would take too long."""
        await self._acquire_here(weight)
        if self._whole is not None:
            await self._whole.acquire(weight)

    async def _acquire_here(self, weight: int) -> None:
        end_s = self._now_s() + self._most_wait_s
        while True:
            answer = await self._take(weight)
            if not answer.wait_s:
                return
            if self._now_s() + answer.wait_s > end_s:
                why = "the exchange has told us to stop" if answer.stopped else "no request weight is left"
                raise BudgetSpentError(f"{why}: try again in {answer.wait_s:.0f} s", answer.wait_s)
            # Never earlier than told, and not all who wait at the same moment.
            await self._sleep(max(_LEAST_WAIT_S, answer.wait_s) * (1 + _JITTER * self._rng.random()))

    async def stop(self, seconds: float) -> None:
        """Nobody acquires anything for so long. A longer stop that holds already is not shortened."""
        if self._whole is not None:
            await self._whole.stop(seconds)
            return
        self._alone.stop(seconds)
        await self._ask(0, seconds)

    async def close(self) -> None:
        """Lets go of the connection to Redis, which a part has from the whole."""
        if self._redis is not None and self._whole is None:
            await self._redis.aclose()

    async def _take(self, weight: int) -> _Answer:
        # What this process was told counts even where Redis has lost it since.
        if (left_s := self._alone.stopped_s()) > 0:
            return _Answer(stopped=True, wait_s=left_s)
        answer = await self._ask(weight, 0)
        return answer if answer is not None else self._alone.take(weight)

    async def _ask(self, weight: int, stop_s: float) -> _Answer | None:
        """What Redis says; None when it is away."""
        if self._script is None or self._now_s() < self._ask_from_s:
            return None
        try:
            async with asyncio.timeout(ANSWER_S):
                stopped, wait_ms = await self._script(
                    keys=[self._key], args=[weight, *self._shared, round(stop_s * 1000)]
                )
        except (RedisError, OSError, TimeoutError) as error:
            self._ask_from_s = self._now_s() + AWAY_S
            log.warning("request weight is not shared: Redis is away", error=said(error))
            return None
        return _Answer(bool(stopped), wait_ms / 1000)


class _Bucket:
    """The same as in Redis, for one process."""

    def __init__(self, most: float, per_minute: float, now_s: Callable[[], float]) -> None:
        self._most = self._tokens = most
        self._per_s = per_minute / 60
        self._now_s = now_s
        self._at_s = now_s()
        self._stopped_until_s = 0.0

    def stop(self, seconds: float) -> None:
        self._stopped_until_s = max(self._stopped_until_s, self._now_s() + seconds)

    def stopped_s(self) -> float:
        return self._stopped_until_s - self._now_s()

    def take(self, weight: int) -> _Answer:
        now_s = self._now_s()
        self._tokens = min(self._most, self._tokens + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._tokens < weight:
            return _Answer(stopped=False, wait_s=(weight - self._tokens) / self._per_s)
        self._tokens -= weight
        return _Answer(stopped=False, wait_s=0.0)


_SCRIPT: Final = files("marketstream.redis").joinpath("budget.lua").read_text()
