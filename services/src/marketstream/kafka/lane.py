"""The records of one topic on their way to Kafka, kept apart so that a topic in trouble does not delay the others.

While all is well, a record goes straight to the client that all topics share. A topic is *stuck* when it is missing, or
when Kafka refuses or does not acknowledge its records. The records of a stuck topic wait here in order, and are retried
one at a time, at growing intervals. Once Kafka acknowledges a record, the others follow. Records beyond the topic's
share of memory are given up, oldest first: they become a hole, which the backfill fills.
"""

import asyncio
import itertools
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, Final

from aiokafka.errors import KafkaError, KafkaTimeoutError

from marketstream.backoff import delays
from marketstream.kafka.internals import knows_leader, withdraw
from marketstream.telemetry import logger

log = logger(__name__)

STALL_S: Final = 5.0
"""Seconds without an acknowledgement after which a topic is stuck."""

FIRST_RETRY_S: Final = 0.2
MOST_RETRY_S: Final = 5.0
"""Seconds between two attempts on a stuck topic, doubling from FIRST_RETRY_S to MOST_RETRY_S."""

FIND_S: Final = 2.0
"""Seconds within which Kafka must name the leader of a topic."""


class Outgoing:
    """One record, the monotonic time (seconds) at which the publisher received it, and the answer its sender awaits."""

    __slots__ = ("answer", "number", "since_s", "value")

    _numbers = itertools.count()

    def __init__(self, value: bytes) -> None:
        self.value = value
        self.number = next(self._numbers)
        self.answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.since_s = time.monotonic()


class Lane:
    """The queue of one topic with one partition.

    `settle` is called when a record is acknowledged or given up, and `turned` when the topic gets stuck or recovers.
    `most_unanswered` bounds the bytes that the client holds at a time, so that handing a record to it never waits.
    """

    def __init__(
        self,
        topic: str,
        client: Callable[[], Any],
        settle: Callable[["Lane", Outgoing, bool], None],
        turned: Callable[["Lane"], None],
        most_unanswered: int,
    ) -> None:
        self.topic = topic
        self.problem = ""
        """The reason why the topic is stuck; empty while it is not."""
        self.stuck_since_s = 0.0
        self.size = 0
        """Bytes of all records of the topic that are neither acknowledged nor given up."""
        self._count = 0
        self._client = client
        self._settle = settle
        self._turned = turned
        self._most_unanswered = most_unanswered
        self._waiting: deque[Outgoing] = deque()
        self._with_client: dict[Outgoing, Any] = {}
        self._unanswered = 0
        self._heard_s = time.monotonic()
        self._answered = asyncio.Event()
        self._draining: asyncio.Task[None] | None = None
        self._is_resting = False
        """True for MOST_RETRY_S seconds after sending failed unexpectedly."""

    def __len__(self) -> int:
        return self._count

    def records(self) -> list[Outgoing]:
        """Return all records of the topic that are neither acknowledged nor given up."""
        return [*self._with_client, *self._waiting]

    def oldest(self) -> Outgoing | None:
        """Return the record that has waited longest, or None if no record waits."""
        with_client = next(iter(self._with_client), None)
        waiting = self._waiting[0] if self._waiting else None
        found = [record for record in (with_client, waiting) if record is not None]
        return min(found, key=lambda record: record.since_s, default=None)

    async def add(self, record: Outgoing) -> None:
        """Add a record behind all others of the topic, without waiting for Kafka."""
        self.size += len(record.value)
        self._count += 1
        client = self._client()
        is_clear = self._draining is None and not self._waiting and not self.problem
        if is_clear and client is not None and self._fits(record) and knows_leader(client, self.topic):
            try:
                await self._hand_over(client, record)
            except KafkaError as error:
                self._put_back(record)
                self._stick(error)
        else:
            self._waiting.append(record)
        self._resume()

    def watch(self) -> None:
        """Mark the topic as stuck if Kafka has acknowledged nothing for too long. Call this about every second."""
        oldest = self.oldest()
        if oldest is None or self.problem or time.monotonic() - max(oldest.since_s, self._heard_s) <= STALL_S:
            return
        error = KafkaTimeoutError(f"no acknowledgement for {STALL_S:g} s")
        self._stick(error)
        if (client := self._client()) is not None:
            withdraw(client, self.topic, error)
        self._drain()

    def shed(self, most_records: int, most_bytes: int) -> None:
        """Give up the oldest records that wait here, until the topic is within these limits."""
        while self._waiting and (len(self) > most_records or self.size > most_bytes):
            self._end(self._waiting.popleft(), acknowledged=False)

    def recall(self) -> None:
        """Take back the unacknowledged records of a client that was discarded."""
        self._waiting.extendleft(reversed(self._with_client))
        self._with_client.clear()
        self._unanswered = 0
        self._answered.set()
        self._resume()

    def forget(self, record: Outgoing) -> None:
        """Give up a record that was not added because `add` raised, unless the client has it already."""
        if record in self._with_client:
            return
        if record in self._waiting:
            self._waiting.remove(record)
        self._end(record, acknowledged=False)

    def give_up(self) -> None:
        """Give up all records that are not acknowledged, and cancel the attempts to send them."""
        if self._draining is not None:
            self._draining.cancel()
        for record in self.records():
            self._end(record, acknowledged=False)
        self._with_client.clear()
        self._waiting.clear()

    def _fits(self, record: Outgoing) -> bool:
        return not self._with_client or self._unanswered + len(record.value) <= self._most_unanswered

    async def _hand_over(self, client: Any, record: Outgoing) -> None:
        sent = await client.send(self.topic, record.value, partition=0)
        if record in self._waiting:
            self._waiting.remove(record)
        elif record.answer.done():  # given up meanwhile
            return
        self._with_client[record] = client
        self._unanswered += len(record.value)
        sent.add_done_callback(lambda done: self._hear(client, record, done))

    def _hear(self, client: Any, record: Outgoing, done: "asyncio.Future[Any]") -> None:
        error = done.exception()
        if self._with_client.get(record) is not client:
            return  # recalled, or given up: whoever has it now decides
        del self._with_client[record]
        self._unanswered -= len(record.value)
        self._answered.set()
        if error is None:
            self._heard_s = time.monotonic()
            self._free()
            self._end(record, acknowledged=True)
            return
        self._stick(error)
        if getattr(error, "retriable", False) or isinstance(error, KafkaTimeoutError):
            self._put_back(record)
        else:  # Kafka never takes this one, perhaps the next
            self._end(record, acknowledged=False)
        self._resume()

    def _put_back(self, record: Outgoing) -> None:
        """Return a record to its place among the waiting records, which are sorted oldest first."""
        self._waiting.insert(bisect_right(self._waiting, record.number, key=attrgetter("number")), record)

    def _end(self, record: Outgoing, *, acknowledged: bool) -> None:
        self.size -= len(record.value)
        self._count -= 1
        self._settle(self, record, acknowledged)

    def _stick(self, error: BaseException) -> None:
        was_stuck, self.problem = bool(self.problem), _said(error)
        if not was_stuck:
            self.stuck_since_s = time.monotonic()
            self._turned(self)
            log.warning("topic stuck, will retry", topic=self.topic, error=self.problem)

    def _free(self) -> None:
        if self.problem:
            self.problem = ""
            self._turned(self)
            stuck_s = round(time.monotonic() - self.stuck_since_s, 1)
            log.info("topic recovered", topic=self.topic, stuck_s=stuck_s, records=len(self))

    def _drain(self) -> None:
        if self._draining is None and not self._is_resting:
            self._draining = asyncio.create_task(self._run(), name=f"lane of {self.topic}")
            self._draining.add_done_callback(self._drained)

    def _drained(self, task: "asyncio.Task[None]") -> None:
        self._draining = None
        if task.cancelled():
            return
        if error := task.exception():
            log.error("sending to topic failed unexpectedly, will retry", topic=self.topic, error=repr(error))
            self._stick(error)
            self._is_resting = True
            asyncio.get_running_loop().call_later(MOST_RETRY_S, self._end_rest)
        else:
            self._resume()

    def _end_rest(self) -> None:
        self._is_resting = False
        self._resume()

    def _resume(self) -> None:
        if self._waiting:
            self._drain()

    async def _run(self) -> None:
        """Send the waiting records, one at a time while the topic is stuck."""
        waits: Iterator[float] = delays(FIRST_RETRY_S, MOST_RETRY_S)
        while self._waiting:
            if self.problem:
                await asyncio.sleep(next(waits))
                if not await self._is_found():
                    continue
            else:
                waits = delays(FIRST_RETRY_S, MOST_RETRY_S)
            client = self._client()
            if client is None:
                await asyncio.sleep(FIRST_RETRY_S)
                continue
            if not self._waiting:
                return
            record = self._waiting[0]
            if (self.problem and self._with_client) or not self._fits(record):
                await self._answer()
                continue
            try:
                await self._hand_over(client, record)
            except KafkaError as error:
                self._stick(error)

    async def _is_found(self) -> bool:
        client = self._client()
        if client is None:
            return False
        try:
            async with asyncio.timeout(FIND_S):
                await client.partitions_for(self.topic)
        except (KafkaError, OSError, TimeoutError) as error:
            self._stick(error if str(error) else KafkaTimeoutError("Kafka does not know the topic, or does not answer"))
            return False
        return True

    async def _answer(self) -> None:
        """Wait for an answer from Kafka, at most STALL_S seconds."""
        self._answered.clear()
        try:
            async with asyncio.timeout(STALL_S):
                await self._answered.wait()
        except TimeoutError:
            self.watch()


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
