"""Requests to Binance's REST API: within the limits, tried again where that may help, and decoded.

Limits (REST API: IP Limits): each request has a weight, 6,000 a minute are allowed. 429 says that it was too much, 418
that the address is banned for going on; both tell in Retry-After for how many seconds to be silent. 403 says that the
firewall blocks the address, mostly for too many requests, and not for how long (REST API: HTTP Return Codes, and the
FAQ that it names). All processes are told through the shared budget.
"""

import asyncio
import re
import time
from random import Random
from typing import Final, TypeVar

import httpx
import msgspec

from marketstream.backoff import delays
from marketstream.exchanges.binance import metrics
from marketstream.exchanges.binance.messages import ErrorBody
from marketstream.exchanges.binance.timing import Timing
from marketstream.exchanges.clock import Sleep
from marketstream.exchanges.errors import HistoryUnavailableError, RateLimitedError, RequestRefusedError
from marketstream.redis.budget import Budget, BudgetSpentError
from marketstream.telemetry import logger

log = logger(__name__)

ATTEMPTS: Final = 3
"""How often a request is made in all when it is not answered well."""

FULL: Final = 0.95
"""Part of the limit beyond which we stop for a while: other programs behind the same address spend too."""

_FULL_STOP_S: Final = 10.0
# Where Retry-After is missing. Bans last 2 minutes at least, blocks of the firewall usually 5.
_UNTOLD_S: Final = {429: 30.0, 418: 120.0, 403: 300.0}
_TIMED_OUT: Final = 408  # the exchange has waited in vain for a server of its own
_BANNED_UNTIL: Final = re.compile(r"banned until (\d{13})")
_USED: Final = "X-MBX-USED-WEIGHT-1M"

Body = TypeVar("Body")


class Rest:
    """A client of one address (scheme, host, port). Close it after use."""

    def __init__(
        self,
        url: str,
        budget: Budget,
        timing: Timing,
        *,
        sleep: Sleep = asyncio.sleep,
        rng: Random | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._budget = budget
        self._sleep = sleep
        self._rng = rng or Random()
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=timing.request_s,
            headers={"X-MBX-TIME-UNIT": "MICROSECOND"},
            transport=transport,
        )

    async def get(self, path: str, weight: int, kind: type[Body], **params: str | int) -> Body:
        """The answer, decoded as `kind`.

        Raises RateLimitedError, HistoryUnavailableError or RequestRefusedError.
        """
        waits = delays(0.25, 2.0, self._rng)
        problem = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._sleep(next(waits))
            await self._acquire(weight)
            metrics.WEIGHT.inc(weight)
            try:
                response = await self._client.get(path, params=params)
                metrics.REQUESTS.labels(str(response.status_code)).inc()
                await self._heed_limits(response)
                if response.is_success:
                    return msgspec.json.decode(response.content, type=kind)
                problem = _problem(path, response)
            except httpx.HTTPError as error:
                problem = f"{path}: {error or type(error).__name__}"
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                problem = f"{path} was answered with something else: {error}"
            log.info("a request to Binance failed", problem=problem, attempt=attempt + 1)
        raise HistoryUnavailableError(f"{self._client.base_url} gave no good answer {ATTEMPTS} times: {problem}")

    async def close(self) -> None:
        """Ends the connections, and the budget's."""
        await self._client.aclose()
        await self._budget.close()

    async def _acquire(self, weight: int) -> None:
        try:
            await self._budget.acquire(weight)
        except BudgetSpentError as error:
            raise RateLimitedError(f"Binance cannot be asked: {error}", error.retry_after_s) from error

    async def _heed_limits(self, response: httpx.Response) -> None:
        """Has everyone stop when the exchange says so, or is about to."""
        if response.status_code in _UNTOLD_S:
            seconds = _retry_after_s(response)
            log.warning("Binance tells us to stop", status=response.status_code, seconds=seconds)
            await self._budget.stop(seconds)
            return
        used = response.headers.get(_USED, "")
        if used.isdigit() and int(used) > FULL * self._budget.limit:
            log.warning("the limit is nearly used up", used=int(used), limit=self._budget.limit)
            await self._budget.stop(_FULL_STOP_S)


def _problem(path: str, response: httpx.Response) -> str:
    """What is wrong, where trying again may help. Raises RequestRefusedError where it cannot."""
    try:
        told = msgspec.json.decode(response.content, type=ErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = ErrorBody(msg=response.text[:200])
    problem = f"{path}: HTTP {response.status_code}, {told.msg or 'no message'} (code {told.code})"
    if response.is_server_error or response.status_code == _TIMED_OUT or response.status_code in _UNTOLD_S:
        return problem
    raise RequestRefusedError(problem, told.code)


def _retry_after_s(response: httpx.Response) -> float:
    """For how many seconds to be silent: as Retry-After or the message says, else what is usual."""
    text = response.headers.get("Retry-After", "")
    if text.isdigit():
        return max(1.0, float(text))
    until = _BANNED_UNTIL.search(response.text)
    # Only for this does the local clock count; a wrong one makes the next request too early and banned again.
    told_s = int(until[1]) / 1000 - time.time() if until else 0.0
    return max(told_s, _UNTOLD_S[response.status_code])
