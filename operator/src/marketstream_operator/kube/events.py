"""A recorder of Kubernetes Events, which `kubectl describe` shows below the object that they are about.

The name of an Event is derived from its content, so recording the same Event again raises its count.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, Literal, TypeVar

from marketstream.backoff import delays
from marketstream.telemetry import logger

from marketstream_operator import metrics
from marketstream_operator.kinds import EVENT
from marketstream_operator.kube.api import Api, ApiError, ConflictError, NotFoundError, NotLeadingError
from marketstream_operator.names import digest

log = logger(__name__)

V = TypeVar("V")

BURST: Final = 10
REFILL_S: Final = 60.0
"""Rate limit for one object and reason: BURST Events, then one every REFILL_S seconds. Others are only counted."""

REMEMBERED: Final = 4_096
"""Maximum number of Events, and of pairs of object and reason, that are kept in memory."""

MOST_WAITING: Final = 1_000
"""Maximum number of Events that wait to be sent; further ones are dropped."""

ATTEMPTS: Final = 5
MESSAGE_LIMIT: Final = 1_024
"""Maximum length of a message, in bytes of UTF-8."""
NAME_LIMIT: Final = 253


@dataclass(slots=True)
class _Event:
    name: str
    about: Mapping[str, str]
    type: str
    reason: str
    message: str
    first: str
    last: str
    count: int = 0
    is_there: bool = False
    """True while, as far as we know, the API server has this Event."""


class Recorder:
    """Records Events about objects; `run` sends them in the background.

    `component` and `instance` name the source of the Events. `clock` is monotonic, in seconds.
    """

    def __init__(self, api: Api, component: str, instance: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._api, self._component, self._instance, self._clock = api, component, instance, clock
        self._events = _Recent[_Event](REMEMBERED)
        self._buckets = _Recent[_Bucket](REMEMBERED)
        self._waiting: OrderedDict[str, _Event] = OrderedDict()
        self._something = asyncio.Event()

    def record(self, about: Mapping[str, str], type_: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Queue an Event about an object, given by its apiVersion, kind, namespace, name and uid.

        Never raises, and does not wait until the Event is sent.
        """
        message = message.encode()[:MESSAGE_LIMIT].decode(errors="ignore")
        name, now = _name(about, type_, reason, message), _time()
        event = self._events.get(name, lambda: _Event(name, about, type_, reason, message, first=now, last=now))
        event.count += 1
        event.last = now
        bucket = self._buckets.get((about["uid"], reason), lambda: _Bucket(self._clock()))
        if name in self._waiting or not bucket.take(self._clock()):
            return
        if len(self._waiting) >= MOST_WAITING:
            self._drop(event, f"{MOST_WAITING} Events are already waiting")
            return
        self._waiting[name] = event
        self._something.set()

    async def run(self) -> None:
        """Send recorded Events until cancelled."""
        while True:
            await self._something.wait()
            while self._waiting:
                _, event = self._waiting.popitem(last=False)
                await self._send(event)
            self._something.clear()

    async def _send(self, event: _Event) -> None:
        """Send the Event with its present count. Retry a few times after a temporary failure."""
        for attempt, delay in enumerate(delays(0.5, 10.0), start=1):
            try:
                await self._write(event)
            except (NotLeadingError, ApiError) as error:
                is_temporary = isinstance(error, ApiError) and (error.status in (0, 409, 429) or error.status >= 500)
                if not is_temporary or attempt == ATTEMPTS:
                    self._drop(event, str(error))
                    return
                asked_s = error.retry_after_s if isinstance(error, ApiError) else None
                await asyncio.sleep(max(delay, asked_s or 0.0))
            except Exception:
                log.exception("Kubernetes event lost because of a bug", reason=event.reason)
                return
            else:
                return

    async def _write(self, event: _Event) -> None:
        namespace = event.about["namespace"]
        if not event.is_there:
            sent = event.count
            try:
                await self._api.create(EVENT, namespace, self._body(event))
            except ConflictError:
                # The Event is from before a restart. Continue its count, which only the answer to a patch reveals.
                found = await self._api.merge(EVENT, namespace, event.name, {"lastTimestamp": event.last})
                event.count += found.get("count") or 0
                sent = 0
            event.is_there = True
            if sent == event.count:
                return
        changes = {"count": event.count, "lastTimestamp": event.last, "reportingInstance": self._instance}
        try:
            await self._api.merge(EVENT, namespace, event.name, changes)
        except NotFoundError:  # the API server deletes Events after an hour
            event.is_there, event.count, event.first = False, 1, event.last
            await self._api.create(EVENT, namespace, self._body(event))
            event.is_there = True

    def _body(self, event: _Event) -> dict[str, Any]:
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.name,
            "metadata": {"name": event.name, "namespace": event.about["namespace"]},
            "involvedObject": dict(event.about),
            "type": event.type,
            "reason": event.reason,
            "message": event.message,
            "count": event.count,
            "firstTimestamp": event.first,
            "lastTimestamp": event.last,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
        }

    def _drop(self, event: _Event, why: str) -> None:
        metrics.EVENTS_DROPPED.inc()
        log.warning("Kubernetes event dropped", object=event.about["name"], reason=event.reason, error=why)


@dataclass(slots=True)
class _Bucket:
    """A token bucket."""

    filled: float
    tokens: float = BURST

    def take(self, now: float) -> bool:
        self.tokens = min(BURST, self.tokens + (now - self.filled) / REFILL_S)
        self.filled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class _Recent(Generic[V]):
    """A cache of the `most` values that were used last, by key."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, V] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        value = self._kept.get(key)
        if value is None:
            value = self._kept[key] = make()
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return value


def _name(about: Mapping[str, str], *said: str) -> str:
    """Return `<object's name>.<digest>`, a DNS name that is the same for the same content about the same object."""
    suffix = digest(about["uid"], *said)
    return f"{about['name'][: NAME_LIMIT - len(suffix) - 1].rstrip('.-')}.{suffix}"


def _time() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
