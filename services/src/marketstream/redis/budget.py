"""Budgets of what an exchange allows one IP address, shared by all processes through Redis: weight and connections.

The budget is a token bucket, which refills over time. Binance counts the weight by the minute (Binance Spot API, REST
API: IP Limits), so a full bucket plus the refill of one minute must stay below the limit. When the exchange orders a
stop (429, 418), the end of the stop is stored in Redis as well, and every process pauses its requests.
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
"""Request weight that Binance allows each minute (Exchange information: rateLimits, REQUEST_WEIGHT)."""

SHARE: Final = 0.8
"""Part of the limit that MarketStream uses. The rest is left to other programs with the same IP address."""

ALONE: Final = 0.1
"""Part of the share that each process may use while Redis is unavailable, so that ten processes fit into the share."""

ANSWER_S: Final = 1.0
"""Seconds within which Redis must answer."""

AWAY_S: Final = 5.0
"""Seconds for which Redis is not queried again after it did not answer, so that each request does not wait for it."""

BESIDE_WAIT_S: Final = 10.0
"""Maximum seconds for which a budget beside another one is waited for. The caller then reports that it is spent."""

_BURST: Final = 0.25
_JITTER: Final = 0.2
_LEAST_WAIT_S: Final = 0.01


class BudgetSpentError(Exception):
    """The budget allows no request within the time the caller waits. Retry after `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class _Answer(NamedTuple):
    """The result of taking weight: `wait_s` is 0 if it was taken, otherwise the seconds to wait before a retry.

    `stopped` is True if the reason is a stop that the exchange has ordered.
    """

    stopped: bool
    wait_s: float


class Budget:
    """A share of `limit` request weight in `period_s` seconds; a part of it, `alone`, while Redis is unavailable.

    `name` distinguishes the budgets of several exchanges. `now_s` is a monotonic clock in seconds.
    """

    def __init__(
        self,
        redis: Redis | None = None,
        name: str = "binance",
        *,
        limit: int = LIMIT_A_MINUTE,
        period_s: float = 60.0,
        share: float = SHARE,
        alone: float = ALONE,
        most_wait_s: float = 60.0,
        now_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: Random | None = None,
        whole: "Budget | None" = None,
        owns_redis: bool = True,
    ) -> None:
        """Create a full budget. `acquire` waits at most `most_wait_s` seconds.

        Only `part` passes `whole`; only `part` and `beside` pass `owns_redis`.
        """
        self._redis = redis
        self._name = name
        self._key = f"budget:{name}"
        self._share = share
        self._whole = whole
        self.limit = limit
        """Request weight that the exchange allows our IP address in `period_s`, for all programs together."""
        most = limit * share * _BURST
        per_minute = (limit * share - most) * 60 / period_s
        self._period_s = period_s
        self._owns_redis = owns_redis
        self._shared = (most, per_minute)
        self._alone = _Bucket(max(1.0, most * alone), per_minute * alone, now_s)
        self._most_wait_s = most_wait_s
        self._now_s = now_s
        self._sleep = sleep
        self._rng = rng or Random()
        self._ask_from_s = 0.0
        self._script = redis.register_script(_SCRIPT) if redis is not None else None

    def part(self, name: str, share: float) -> "Budget":
        """Return a budget of at most a `share` of this one, for requests that must leave the rest to others.

        Weight taken from the part is also taken from the whole. The part reserves nothing: others may use all the
        weight that the part does not take.
        """
        return Budget(
            self._redis, f"{self._name}:{name}", limit=self.limit, share=self._share * share,
            period_s=self._period_s, most_wait_s=self._most_wait_s, now_s=self._now_s, sleep=self._sleep,
            rng=self._rng, whole=self, owns_redis=False,
        )  # fmt: skip

    def beside(
        self, name: str, *, limit: int, period_s: float, alone: float = ALONE, most_wait_s: float = BESIDE_WAIT_S
    ) -> "Budget":
        """Return a budget of something else that the exchange limits, over the same connection to Redis."""
        return Budget(
            self._redis, f"{self._name}:{name}", limit=limit, period_s=period_s, share=SHARE, alone=alone,
            most_wait_s=most_wait_s, now_s=self._now_s, sleep=self._sleep, rng=self._rng, owns_redis=False,
        )  # fmt: skip

    async def acquire(self, weight: int) -> None:
        """Wait until `weight` may be spent, and spend it. Raises BudgetSpentError if that would take too long."""
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
                why = "the exchange has ordered a stop" if answer.stopped else "the budget is spent"
                raise BudgetSpentError(f"{why}: retry in {answer.wait_s:.0f} s", answer.wait_s)
            # Never earlier than allowed, and with jitter, so that not all waiting tasks retry at once.
            await self._sleep(max(_LEAST_WAIT_S, answer.wait_s) * (1 + _JITTER * self._rng.random()))

    async def stop(self, seconds: float) -> None:
        """Let no process acquire anything for `seconds`. A longer stop that is already in force is not shortened."""
        if self._whole is not None:
            await self._whole.stop(seconds)
            return
        self._alone.stop(seconds)
        await self._ask(0, seconds)

    async def close(self) -> None:
        """Close the connection to Redis, unless it belongs to another budget."""
        if self._redis is not None and self._owns_redis:
            await self._redis.aclose()

    async def _take(self, weight: int) -> _Answer:
        # A stop that this process was ordered counts even if Redis has lost it since.
        if (left_s := self._alone.stopped_s()) > 0:
            return _Answer(stopped=True, wait_s=left_s)
        answer = await self._ask(weight, 0)
        return answer if answer is not None else self._alone.take(weight)

    async def _ask(self, weight: int, stop_s: float) -> _Answer | None:
        """Return the answer of Redis, or None if Redis is unavailable."""
        if self._script is None or self._now_s() < self._ask_from_s:
            return None
        try:
            async with asyncio.timeout(ANSWER_S):
                stopped, wait_ms = await self._script(
                    keys=[self._key], args=[weight, *self._shared, round(stop_s * 1000)]
                )
        except (RedisError, OSError, TimeoutError) as error:
            self._ask_from_s = self._now_s() + AWAY_S
            log.warning("request weight not shared, Redis is unavailable", error=said(error))
            return None
        return _Answer(bool(stopped), wait_ms / 1000)


class _Bucket:
    """The token bucket of a single process, which works like the one in Redis."""

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
