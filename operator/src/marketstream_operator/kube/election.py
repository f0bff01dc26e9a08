"""Which replica acts: the one that holds the Lease.

All that matters is measured by this process's own clock, which nobody sets; the times in the Lease are for people.

- The leader may act until `renew_deadline_s` after it SENT its last renewal that succeeded.
- A candidate takes over when it has seen the Lease unchanged for `duration_s`, counted from when it had RECEIVED it,
  and writes it only if it is still unchanged then.

So between the leader's last write and the next leader's first lie at least `duration_s - renew_deadline_s` seconds,
in which the writes that were already on their way end (`api.WRITE_S`).
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
RELEASE_LIMIT_S: Final = 2.0
"""Seconds that giving the Lease back may delay a stop."""

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def since_boot() -> float:
    """Seconds of a clock that nobody sets, and that goes on while the machine sleeps where the system can tell."""
    return time.clock_gettime(_CLOCK)


def identity(pod_name: str) -> str:
    """A holder's name that no other process has, not even the one before in the same pod."""
    return f"{pod_name or 'operator'}_{secrets.token_hex(4)}"


class LeaseLostError(Exception):
    """This process was the leader and is so no more. It ends, and begins again as a candidate."""


class Election:
    """Candidate for, and then holder of, the Lease `name`. Of `api` it needs no more than to read and write the Lease.

    `holder` is unique to this process: see `identity`. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        api: Api,
        namespace: str,
        name: str,
        holder: str,
        *,
        duration_s: float = DURATION_S,
        renew_deadline_s: float = RENEW_DEADLINE_S,
        retry_s: float = RETRY_S,
        clock: Callable[[], float] = since_boot,
        rng: Random | None = None,
    ) -> None:
        self._api, self._namespace, self._name, self._me = api, namespace, name, holder
        self._duration_s, self._renew_deadline_s, self._retry_s = duration_s, renew_deadline_s, retry_s
        self._limit_s = (duration_s - renew_deadline_s) * 0.6
        """Seconds for one attempt: several fit before the deadline."""
        self._clock, self._rng = clock, rng or Random()
        self._until = -math.inf
        self._lease: dict[str, Any] = {"metadata": {"namespace": namespace, "name": name}, "spec": {}}
        self._unchanged_since = clock()
        self._is_newest = False
        """Whether the Lease is, as far as we know, as we saw it: not after a write whose answer was lost."""
        self._has_written = False
        self._trouble = ""

    def holds(self) -> bool:
        """Whether this process is the leader at this moment."""
        return self._clock() < self._until

    async def run(self, lead: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Waits for the lease and then runs `lead`, within which all writes are made, until that ends.

        Cancelled, or when `lead` ends, it ends `lead` first, then gives the lease back so that the next takes over at
        once. Raises LeaseLostError when the lease is lost, and what `lead` raises.
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
            await self._attempt(self._limit_s)
            if self.holds():
                log.info("leading", lease=self._name, identity=self._me)
                return
            left_s = self._unchanged_since + self._patience_s() - self._clock()
            await asyncio.sleep(min(self._pause_s(), left_s) if left_s > 0.05 else self._pause_s())

    async def _keep(self) -> None:
        while (left_s := self._until - self._clock()) > 0:
            # Short after a failure: with requests that hang, few fit before the deadline.
            await asyncio.sleep(min(left_s, self._pause_s() / (4 if self._trouble else 1)))
            left_s = self._until - self._clock()
            if left_s > 0:
                await self._attempt(min(left_s, self._limit_s))
            if self._holder() != self._me:
                self._until = -math.inf
                raise LeaseLostError(f"the lease {self._name} is held by {self._holder() or 'nobody'}")
        raise LeaseLostError(f"the lease {self._name} could not be renewed in {self._renew_deadline_s:g} s")

    async def _attempt(self, limit_s: float) -> None:
        """Renews the Lease, or takes it if it is free. Without success everything stays as it is."""
        try:
            async with asyncio.timeout(limit_s):
                if not (self._is_newest and self._holder() == self._me):
                    await self._look()
                if self._is_free():
                    await self._take(limit_s)
            trouble = ""
        except (ConflictError, NotFoundError):
            return  # somebody was faster: the next attempt looks at what there is now
        except ApiError as error:
            trouble = str(error)
        except TimeoutError:
            trouble = f"no answer in {limit_s:.1f} s"
        if trouble and not self._trouble:
            log.warning("the lease cannot be read or written; trying on", lease=self._name, error=trouble)
        elif self._trouble and not trouble:
            log.info("the lease can be read and written again", lease=self._name)
        self._trouble = trouble

    async def _look(self) -> None:
        try:
            lease = await self._api.get(LEASE, self._namespace, self._name)
        except NotFoundError:
            # Somebody deleted it. Its holder may not know yet, so it counts as held until it would have run out.
            lease = {**self._lease, "metadata": {"namespace": self._namespace, "name": self._name}}
        self._see(lease)

    def _see(self, lease: dict[str, Any]) -> None:
        before = self._holder()
        if lease["metadata"].get("resourceVersion") != self._lease["metadata"].get("resourceVersion"):
            self._unchanged_since = self._clock()
        self._lease, self._is_newest = lease, True
        if self._holder() not in (before, self._me, ""):
            log.info("another replica leads", lease=self._name, holder=self._holder())

    def _holder(self) -> str:
        return self._lease["spec"].get("holderIdentity") or ""

    def _patience_s(self) -> float:
        """For how long the Lease must not have changed: its holder may be of a version that holds it for longer."""
        return max(self._duration_s, self._lease["spec"].get("leaseDurationSeconds") or 0)

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
        await self._write({**spec, "leaseDurationSeconds": math.ceil(self._duration_s), "renewTime": now}, limit_s)
        self._until = sent + self._renew_deadline_s

    async def _write(self, spec: dict[str, Any], limit_s: float) -> None:
        """Raises ConflictError when the Lease has changed since it was seen."""
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
                await self._look()
                if self._holder() == self._me:
                    now = _micro_time()
                    given_back = {"holderIdentity": "", "leaseDurationSeconds": 1, "acquireTime": now, "renewTime": now}
                    await self._write({**self._lease["spec"], **given_back}, RELEASE_LIMIT_S)
                    log.info("gave the lease back", lease=self._name)
        except (ApiError, TimeoutError) as error:
            why = str(error) or f"no answer in {RELEASE_LIMIT_S:g} s"
            log.warning("the lease could not be given back; it runs out", lease=self._name, error=why)

    def _pause_s(self) -> float:
        return self._retry_s * (0.8 + self._rng.random() / 5)


def _micro_time() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
