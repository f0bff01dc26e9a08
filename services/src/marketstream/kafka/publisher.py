"""The producer's side of Kafka: publish records in order, and report which of them Kafka has acknowledged.

All topics share one client, and each topic has a lane of its own (lane.py), so that a topic that is missing, refused or
without a leader does not delay the others. A record whose acknowledgement was lost is sent again. Kafka may then hold
the record twice, or after later records: the trade ids undo both (docs/adr/0017-lanes-instead-of-idempotence.md).
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from marketstream.backoff import delays
from marketstream.kafka.client import connection
from marketstream.kafka.errors import BrokerRefusedError
from marketstream.kafka.internals import discard, is_broken
from marketstream.kafka.lane import Lane, Outgoing
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)

MOST_UNACKNOWLEDGED: Final = 5_000
"""Maximum number of unacknowledged records; beyond it `send` waits."""

MOST_BYTES: Final = 16 * 1024 * 1024
"""Maximum bytes of unacknowledged records, before compression; beyond it `send` waits."""

LEAST_RECORDS: Final = 50
LEAST_BYTES: Final = 32 * 1024
"""The records and bytes that every stuck topic may keep in memory, however many topics are stuck."""

BATCH_BYTES: Final = 512 * 1024
"""Maximum bytes of a batch, before compression: below the megabyte that brokers accept by default."""

WATCH_S: Final = 1.0
"""Seconds between two checks of the topics and of the client."""

CLOSE_S: Final = 2.0
"""Seconds for which a graceful close waits for acknowledgements."""


class Publisher:
    """Publisher of records to topics of one partition. Call `start` before and `close` after use."""

    def __init__(
        self,
        settings: Settings,
        *,
        most_unacknowledged: int = MOST_UNACKNOWLEDGED,
        on_failure: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`on_failure` is called with the number of records given up each time that happens."""
        self._settings = settings
        self._most = most_unacknowledged
        self._on_failure = on_failure
        self._client: Any = None
        self._opening = asyncio.Lock()
        self._lanes: dict[str, Lane] = {}
        self._records = 0
        self._bytes = 0
        # Of these, those of stuck topics. They are counted with each record, because there may be a thousand topics.
        self._stuck_topics = 0
        self._stuck_records = 0
        self._stuck_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._watching: asyncio.Task[None] | None = None
        self._reopening: asyncio.Task[None] | None = None

    @property
    def unacknowledged(self) -> int:
        """Number of unacknowledged records."""
        return self._records

    def silence_s(self) -> float:
        """Return the seconds for which the oldest unacknowledged record has waited for Kafka; 0 if there is none."""
        since_s = [record.since_s for lane in self._lanes.values() if (record := lane.oldest()) is not None]
        return time.monotonic() - min(since_s) if since_s else 0.0

    def stuck(self) -> dict[str, tuple[float, str]]:
        """Return the stuck topics, each with the seconds for which it has been stuck and the reason."""
        now = time.monotonic()
        return {lane.topic: (now - lane.stuck_since_s, lane.problem) for lane in self._lanes.values() if lane.problem}

    async def start(self) -> None:
        """Connect, however long it takes."""
        await self._open()
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="kafka topics")

    async def send(self, topic: str, value: bytes) -> "asyncio.Future[bool]":
        """Send a record after all earlier ones of its topic.

        It waits while too many records are unacknowledged, but never for a topic that is stuck. The answer becomes True
        when Kafka has acknowledged the record, and False when it was given up. Await answers with asyncio.wait, which
        does not cancel them.

        Raises BrokerRefusedError for a record that is too large for Kafka.
        """
        if len(value) > BATCH_BYTES:
            raise BrokerRefusedError(f"a record for {topic} has {len(value)} bytes: expected at most {BATCH_BYTES}")
        lane = self._lanes.get(topic)
        if lane is None:
            lane = self._lanes[topic] = Lane(
                topic, lambda: self._client, self._settle, self._note_turn, BATCH_BYTES // 2
            )
        while self._is_full() and not lane.problem:
            self._room.clear()
            await self._room.wait()
        record = Outgoing(value)
        self._count(lane, 1, len(value))
        try:
            await lane.add(record)
        except BaseException:
            lane.forget(record)
            raise
        if lane.problem:
            lane.shed(*self._share())
        return record.answer

    async def close(self, limit_s: float = CLOSE_S) -> None:
        """Wait up to `limit_s` seconds for acknowledgements, then disconnect and give up the remaining records."""
        answers = [record.answer for lane in self._lanes.values() if not lane.problem for record in lane.records()]
        if answers:
            await asyncio.wait(answers, timeout=limit_s)
        tasks = [task for task in (self._watching, self._reopening) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._records:
            log.warning("unacknowledged records given up at close", records=self._records)
        for lane in self._lanes.values():
            lane.give_up()
        client, self._client = self._client, None
        if client is not None:
            await discard(client)

    async def _watch(self) -> None:
        """Find topics that are stuck now, and replace a client that has failed."""
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                self._check()
            except Exception:
                log.exception("check of topics failed")

    def _check(self) -> None:
        client = self._client
        if client is not None and is_broken(client):
            log.error("Kafka client failed, replacing it")
            self._client = None
            self._reopening = asyncio.create_task(self._replace(client), name="kafka client")
        try:
            for lane in list(self._lanes.values()):
                lane.watch()
                if lane.problem:
                    lane.shed(*self._share())
        finally:
            self._room.set()  # senders check again: a topic that got stuck no longer counts

    async def _replace(self, failed: Any) -> None:
        """Discard a failed client, and open another, however long it takes. Meanwhile the topics are watched."""
        for delay in delays(1.0, 30.0):
            try:
                await discard(failed)
                for lane in list(self._lanes.values()):
                    lane.recall()
                await self._open()
            except Exception:
                log.exception("Kafka client not replaced, will retry", retry_s=round(delay, 1))
            else:
                return
            await asyncio.sleep(delay)

    def _count(self, lane: Lane, records: int, size: int) -> None:
        self._records += records
        self._bytes += size
        if lane.problem:
            self._stuck_records += records
            self._stuck_bytes += size

    def _note_turn(self, lane: Lane) -> None:
        """Count the records of a topic as those of a stuck one, or no longer."""
        sign = 1 if lane.problem else -1
        self._stuck_topics += sign
        self._stuck_records += sign * len(lane)
        self._stuck_bytes += sign * lane.size

    def _settle(self, lane: Lane, record: Outgoing, acknowledged: bool) -> None:
        self._count(lane, -1, -len(record.value))
        if not acknowledged:
            self._on_failure(1)
        if not record.answer.done():
            record.answer.set_result(acknowledged)
        if not self._is_full():
            self._room.set()

    def _is_full(self) -> bool:
        """Return True if too many records or bytes are unacknowledged, not counting those of stuck topics."""
        return self._records - self._stuck_records >= self._most or self._bytes - self._stuck_bytes >= MOST_BYTES

    def _share(self) -> tuple[int, int]:
        """Return how many records and bytes each stuck topic may keep."""
        stuck = max(1, self._stuck_topics)
        return max(self._most // stuck, LEAST_RECORDS), max(MOST_BYTES // stuck, LEAST_BYTES)

    async def _open(self) -> Any:
        async with self._opening:
            if self._client is not None:  # opened meanwhile by another task
                return self._client
            for delay in delays(0.1, 5.0):
                client = AIOKafkaProducer(
                    **connection(self._settings),
                    client_id="marketstream-producer",
                    enable_idempotence=False,
                    acks="all",
                    compression_type="zstd",
                    linger_ms=1,
                    max_batch_size=BATCH_BYTES,
                    max_request_size=2 * BATCH_BYTES,
                    request_timeout_ms=20_000,
                )
                try:
                    await client.start()
                except (KafkaError, OSError) as error:
                    log.warning("Kafka connection failed, will retry", error=str(error), retry_s=round(delay, 1))
                    await discard(client)
                    await asyncio.sleep(delay)
                except BaseException:
                    await discard(client)
                    raise
                else:
                    self._client = client
                    return client
        raise AssertionError  # delays never end
