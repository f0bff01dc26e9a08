"""Leader election: only the replica that holds the Lease acts.

Each process measures all durations with its own monotonic clock. The times in the Lease are only for people to read.

- The leader may act until `RENEW_DEADLINE_S` after it SENT its last successful renewal.
- A candidate takes over when the Lease has not changed for `DURATION_S`, counted from the moment when the candidate
  RECEIVED its present version. The write succeeds only if the Lease is still unchanged.

So at least `DURATION_S - RENEW_DEADLINE_S` seconds pass between the last write of one leader and the first write of the
next. Writes that are already on their way end within that time (`api.WRITE_S`).
"""

import asyncio
import math
import secrets
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from marketstream.telemetry import logger

from marketstream_operator.kinds import LEASE
from marketstream_operator.kube.api import Api, ApiError, ConflictError, NotFoundError

log = logger(__name__)

DURATION_S: Final = 15.0
RENEW_DEADLINE_S: Final = 10.0
RETRY_S: Final = 2.0
"""The durations of the lease, in seconds, as the module describes. RETRY_S is the pause between two attempts."""

ATTEMPT_LIMIT_S: Final = (DURATION_S - RENEW_DEADLINE_S) * 0.6
"""Time limit of one attempt, in seconds: short enough for several attempts before the deadline."""

RELEASE_LIMIT_S: Final = 2.0
"""Maximum seconds by which releasing the Lease delays a stop."""

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def since_boot() -> float:
    """Return the monotonic seconds since boot, including suspended time where the system supports that."""
    return time.clock_gettime(_CLOCK)


def identity(pod_name: str) -> str:
    """Return a holder identity that is unique to this process, even after a restart in the same pod."""
    return f"{pod_name or 'operator'}_{secrets.token_hex(4)}"


class LeaseLostError(Exception):
    """This process has lost the leadership. The process must exit; restarted, it is a candidate again."""


class Election:
    """A candidate for the Lease `name`, and then its holder. `api` is used for the Lease only.

    `holder` is an identity that is unique to this process: see `identity`. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        api: Api,
        namespace: str,
        name: str,
        holder: str,
        *,
        clock: Callable[[], float] = since_boot,
        rng: Random | None = None,
    ) -> None:
        self._api, self._namespace, self._name, self._me = api, namespace, name, holder
        self._clock, self._rng = clock, rng or Random()
        self._until = -math.inf
        self._lease: dict[str, Any] = {"metadata": {"namespace": namespace, "name": name}, "spec": {}}
        self._unchanged_since = clock()
        self._is_newest = False
        """True while `_lease` is known to be the current version; False after a write without an answer."""
        self._has_written = False
        self._trouble = ""

    def holds(self) -> bool:
        """Return True if this process is the leader now."""
        return self._clock() < self._until

    async def run(self, lead: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Wait for the lease, then run `lead`, which makes all writes, until `lead` ends.

        When cancelled, stop `lead` first. Then release the lease, so that the next candidate takes over at once.
        Raises LeaseLostError when the lease is lost, and any exception of `lead`.
        """
        leading: asyncio.Task[None] | None = None
        try:
            await self._campaign()
            leading = asyncio.create_task(lead(), name="lead")
            await self._lead(leading)
        finally:
            if leading is None or leading.done():
                await self._release()

    async def _lead(self, leading: "asyncio.Task[None]") -> None:
        keeping = asyncio.create_task(self._keep(), name="lease")
        try:
            await asyncio.wait([leading, keeping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        if not keeping.cancelled():
            await keeping
        await leading

    async def _campaign(self) -> None:
        while True:
            await self._attempt(ATTEMPT_LIMIT_S)
            if self.holds():
                log.info("lease acquired", lease=self._name, identity=self._me)
                return
            left_s = self._unchanged_since + self._patience_s() - self._clock()
            await asyncio.sleep(min(self._pause_s(), left_s) if left_s > 0.05 else self._pause_s())

    async def _keep(self) -> None:
        while (left_s := self._until - self._clock()) > 0:
            # Pause briefly after a failure: few attempts fit before the deadline when requests hang.
            await asyncio.sleep(min(left_s, self._pause_s() / (4 if self._trouble else 1)))
            left_s = self._until - self._clock()
            if left_s > 0:
                await self._attempt(min(left_s, ATTEMPT_LIMIT_S))
            if self._holder() != self._me:
                self._until = -math.inf
                raise LeaseLostError(f"the lease {self._name} is held by {self._holder() or 'nobody'} now")
        raise LeaseLostError(f"the lease {self._name} could not be renewed in {RENEW_DEADLINE_S:g} s")

    async def _attempt(self, limit_s: float) -> None:
        """Renew the Lease, or take it if it is free. Errors of the API are logged; the next attempt may succeed."""
        try:
            async with asyncio.timeout(limit_s):
                if not (self._is_newest and self._holder() == self._me):
                    await self._read()
                if self._is_free():
                    await self._take(limit_s)
            trouble = ""
        except (ConflictError, NotFoundError):
            return  # another candidate was faster: the next attempt reads the Lease first
        except ApiError as error:
            trouble = str(error)
        except TimeoutError:
            trouble = f"no answer in {limit_s:.1f} s"
        if trouble and not self._trouble:
            log.warning("lease access failed, will retry", lease=self._name, error=trouble)
        elif self._trouble and not trouble:
            log.info("lease access recovered", lease=self._name)
        self._trouble = trouble

    async def _read(self) -> None:
        try:
            lease = await self._api.get(LEASE, self._namespace, self._name)
        except NotFoundError:
            # The Lease was deleted. Its holder may not know, so the Lease counts as held until it would have expired.
            lease = {**self._lease, "metadata": {"namespace": self._namespace, "name": self._name}}
        self._see(lease)

    def _see(self, lease: dict[str, Any]) -> None:
        before = self._holder()
        if lease["metadata"].get("resourceVersion") != self._lease["metadata"].get("resourceVersion"):
            self._unchanged_since = self._clock()
        self._lease, self._is_newest = lease, True
        if self._holder() not in (before, self._me, ""):
            log.info("another replica holds the lease", lease=self._name, holder=self._holder())

    def _holder(self) -> str:
        return self._lease["spec"].get("holderIdentity") or ""

    def _patience_s(self) -> float:
        """Return the seconds without a change after which the Lease is free.

        The holder may be of another version of the operator, with a longer duration, which then counts.
        """
        return max(DURATION_S, self._lease["spec"].get("leaseDurationSeconds") or 0)

    def _is_free(self) -> bool:
        if self._holder() in ("", self._me):
            return True
        return self._clock() - self._unchanged_since >= self._patience_s()

    async def _take(self, limit_s: float) -> None:
        now, spec = _micro_time(), self._lease["spec"]
        if self._holder() != self._me:
            terms = spec["leaseTransitions"] + 1 if "leaseTransitions" in spec else 0
            spec = {**spec, "holderIdentity": self._me, "acquireTime": now, "leaseTransitions": terms}
        sent = self._clock()
        await self._write({**spec, "leaseDurationSeconds": math.ceil(DURATION_S), "renewTime": now}, limit_s)
        self._until = sent + RENEW_DEADLINE_S

    async def _write(self, spec: dict[str, Any], limit_s: float) -> None:
        """Write the Lease. Raises ConflictError when the Lease has changed since it was read."""
        metadata = {key: value for key, value in self._lease["metadata"].items() if key != "managedFields"}
        body = {"apiVersion": LEASE.api_version, "kind": LEASE.name, "metadata": metadata, "spec": spec}
        self._is_newest, self._has_written = False, True
        self._see(await self._api.write_lease(self._namespace, self._name, body, limit_s))

    async def _release(self) -> None:
        self._until = -math.inf
        if not self._has_written:
            return
        try:
            async with asyncio.timeout(RELEASE_LIMIT_S):
                await self._read()
                if self._holder() == self._me:
                    now = _micro_time()
                    released = {"holderIdentity": "", "leaseDurationSeconds": 1, "acquireTime": now, "renewTime": now}
                    await self._write({**self._lease["spec"], **released}, RELEASE_LIMIT_S)
                    log.info("lease released", lease=self._name)
        except (ApiError, TimeoutError) as error:
            why = str(error) or f"no answer in {RELEASE_LIMIT_S:g} s"
            log.warning("lease release failed, left to expire", lease=self._name, error=why)

    def _pause_s(self) -> float:
        return RETRY_S * (0.8 + self._rng.random() / 5)


def _micro_time() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
