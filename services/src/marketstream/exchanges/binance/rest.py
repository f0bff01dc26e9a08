"""Requests to Binance's REST API: kept within the limits, retried where that may help, and decoded.

Limits (REST API: IP Limits): each request has a weight, and a weight of 6,000 per minute is allowed. Status 429 reports
that the limit was exceeded, 418 that the address is banned because requests continued; both give the seconds to wait in
Retry-After. Status 403 reports that the firewall blocks the address, mostly after too many requests, without a duration
(REST API: HTTP Return Codes, and the FAQ it links to). The shared budget makes all processes wait.
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
"""Total number of attempts of a request before it counts as failed."""

FULL: Final = 0.95
"""Share of the limit beyond which requests stop for a while: other programs on the same address spend weight, too."""

_FULL_STOP_S: Final = 10.0
# Seconds to wait if Retry-After is missing. Bans last 2 minutes at least, blocks by the firewall usually 5.
_USUAL_S: Final = {429: 30.0, 418: 120.0, 403: 300.0}
_TIMED_OUT: Final = 408  # one of the exchange's own servers did not answer in time
_BANNED_UNTIL: Final = re.compile(r"banned until (\d{13})")
_USED: Final = "X-MBX-USED-WEIGHT-1M"

Body = TypeVar("Body")


class Rest:
    """A client of one address (scheme, host and port). Close the client after use."""

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
        """Return the answer, decoded as `kind`.

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
                problem = f"{path}: unexpected answer: {error}"
            log.info("request to Binance failed", problem=problem, attempt=attempt + 1)
        raise HistoryUnavailableError(f"{self._client.base_url} gave no valid answer in {ATTEMPTS} attempts: {problem}")

    async def close(self) -> None:
        """Close the connections of this client and of its budget."""
        await self._client.aclose()
        await self._budget.close()

    async def _acquire(self, weight: int) -> None:
        try:
            await self._budget.acquire(weight)
        except BudgetSpentError as error:
            raise RateLimitedError(f"no request to Binance is allowed now: {error}", error.retry_after_s) from error

    async def _heed_limits(self, response: httpx.Response) -> None:
        """Make all processes wait if the exchange demands a pause, or would soon do so."""
        if response.status_code in _USUAL_S:
            seconds = _retry_after_s(response)
            log.warning("Binance demanded a pause of all requests", status=response.status_code, seconds=seconds)
            await self._budget.stop(seconds)
            return
        used = response.headers.get(_USED, "")
        if used.isdigit() and int(used) > FULL * self._budget.limit:
            log.warning("request weight of Binance nearly exhausted", used=int(used), limit=self._budget.limit)
            await self._budget.stop(_FULL_STOP_S)


def _problem(path: str, response: httpx.Response) -> str:
    """Return the problem if a retry may help. Raise RequestRefusedError otherwise."""
    try:
        body = msgspec.json.decode(response.content, type=ErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = ErrorBody(msg=response.text[:200])
    problem = f"{path}: HTTP {response.status_code}, {body.msg or 'no message'} (code {body.code})"
    if response.is_server_error or response.status_code == _TIMED_OUT or response.status_code in _USUAL_S:
        return problem
    raise RequestRefusedError(problem, body.code)


def _retry_after_s(response: httpx.Response) -> float:
    """Return the seconds to wait: from Retry-After, from the message, or the usual duration."""
    text = response.headers.get("Retry-After", "")
    if text.isdigit():
        return max(1.0, float(text))
    until = _BANNED_UNTIL.search(response.text)
    # The only use of the local clock: if the clock is wrong, the next request comes too early and is banned again.
    remaining_s = int(until[1]) / 1000 - time.time() if until else 0.0
    return max(remaining_s, _USUAL_S[response.status_code])
