"""The producer's side of Kafka: publish records in order, and report which of them Kafka has acknowledged.

The publisher uses aiokafka's idempotent producer, which retries until an unavailable broker returns. Other errors,
such as a sequence number that the broker does not expect, would fail every later record of the topic as well. After
such an error the publisher replaces the client and gives up the unacknowledged records. They become a hole, which the
processor fills from the exchange's history.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from marketstream.backoff import delays
from marketstream.kafka.client import connection
from marketstream.kafka.errors import BrokerRefusedError
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)

MOST_UNACKNOWLEDGED: Final = 5_000
"""Maximum number of unacknowledged records; beyond it `send` waits."""

MOST_BYTES: Final = 16 * 1024 * 1024
"""Maximum bytes of unacknowledged records, before compression; beyond it `send` waits."""

BATCH_BYTES: Final = 512 * 1024
"""Maximum bytes of a batch, before compression: below the megabyte that brokers accept by default."""

CLOSE_S: Final = 2.0
"""Seconds for which a graceful close waits for acknowledgements."""

DISCARD_S: Final = 0.5
"""Seconds for closing each of the two parts of a client. Together with CLOSE_S they fit into the time of a stop."""


class Publisher:
    """Publisher of records to topics of one partition. Call `start` before and `close` after use."""

    def __init__(
        self,
        settings: Settings,
        *,
        most_unacknowledged: int = MOST_UNACKNOWLEDGED,
        on_failure: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`on_failure` is called with the number of records given up each time a client is discarded."""
        self._settings = settings
        self._most = most_unacknowledged
        self._on_failure = on_failure
        self._client: Any = None
        self._opening = asyncio.Lock()
        # Unacknowledged records, oldest first: the answer of `send`, the time it was sent, and the record's bytes.
        self._waiting: dict[asyncio.Future[bool], tuple[float, int]] = {}
        self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._discarding: set[asyncio.Task[None]] = set()

    @property
    def unacknowledged(self) -> int:
        """Number of unacknowledged records."""
        return len(self._waiting)

    def silence_s(self) -> float:
        """Return the seconds for which the oldest unacknowledged record has waited for Kafka; 0 if there is none."""
        oldest = next(iter(self._waiting.values()), None)
        return 0.0 if oldest is None else time.monotonic() - oldest[0]

    async def start(self) -> None:
        """Connect, however long it takes."""
        await self._open()

    async def send(self, topic: str, value: bytes) -> "asyncio.Future[bool]":
        """Send a record after all earlier ones of its topic. Waits while too many are unacknowledged.

        The answer becomes True when Kafka has acknowledged the record, and False when it was given up. Answers of a
        topic arrive in the order of its records. Await them with asyncio.wait, which does not cancel them.

        Raises BrokerRefusedError for a record that is too large for Kafka.
        """
        if len(value) > BATCH_BYTES:
            raise BrokerRefusedError(f"a record for {topic} has {len(value)} bytes: expected at most {BATCH_BYTES}")
        while self._is_full():
            self._room.clear()
            await self._room.wait()
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[answer] = (time.monotonic(), len(value))
        self._bytes += len(value)
        try:
            await self._hand_over(topic, value, answer)
        except BaseException:
            self._settle(answer, acknowledged=False)
            raise
        return answer

    async def close(self, limit_s: float = CLOSE_S) -> None:
        """Wait up to `limit_s` seconds for acknowledgements, then disconnect and give up the remaining records."""
        if self._waiting:
            await asyncio.wait(list(self._waiting), timeout=limit_s)
        client, self._client = self._client, None
        if client is not None:
            if self._waiting:
                log.warning("unacknowledged records given up at close", records=len(self._waiting))
                self._give_up()
            await _discard(client)
        if self._discarding:
            await asyncio.wait(self._discarding)

    async def _hand_over(self, topic: str, value: bytes, answer: "asyncio.Future[bool]") -> None:
        while True:
            client = self._client or await self._open()
            if answer.done():  # given up with an earlier client
                return
            try:
                sent = await client.send(topic, value, partition=0)
            except KafkaTimeoutError:
                continue  # the buffer is full because the broker is unavailable: nothing is lost by waiting
            except KafkaError as error:
                self._fail(client, error)
                return
            sent.add_done_callback(partial(self._answered, client, answer))
            return

    def _answered(self, client: Any, answer: "asyncio.Future[bool]", done: "asyncio.Future[Any]") -> None:
        error = done.exception()
        if error is not None:
            self._fail(client, error)
        self._settle(answer, acknowledged=error is None)

    def _settle(self, answer: "asyncio.Future[bool]", *, acknowledged: bool) -> None:
        _, size = self._waiting.pop(answer, (0.0, 0))
        self._bytes -= size
        if not answer.done():
            answer.set_result(acknowledged)
        if not self._is_full():
            self._room.set()

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._most or self._bytes >= MOST_BYTES

    def _give_up(self) -> None:
        self._on_failure(len(self._waiting))
        for answer in list(self._waiting):
            self._settle(answer, acknowledged=False)

    def _fail(self, client: Any, error: BaseException) -> None:
        """Discard a client, once, and give up the records that it has not delivered."""
        if client is not self._client:
            return
        log.error("Kafka client failed, replacing it", error=repr(error), records_given_up=len(self._waiting))
        self._client = None
        self._give_up()
        task = asyncio.create_task(_discard(client))
        self._discarding.add(task)
        task.add_done_callback(self._discarding.discard)

    async def _open(self) -> Any:
        async with self._opening:
            if self._client is not None:  # opened meanwhile by another task
                return self._client
            for delay in delays(0.1, 5.0):
                client = AIOKafkaProducer(
                    **connection(self._settings),
                    client_id="marketstream-producer",
                    enable_idempotence=True,
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
                    await _discard(client)
                    await asyncio.sleep(delay)
                except BaseException:
                    await _discard(client)
                    raise
                else:
                    self._client = client
                    return client
        raise AssertionError  # delays never end


async def _discard(client: Any) -> None:
    """Disconnect without waiting for unsent records.

    aiokafka's own stop() waits for them, forever if the broker is unavailable (aio-libs/aiokafka issue 1101). A sender
    that kept running would deliver old records after new ones. So this function uses aiokafka's private attributes.
    """
    client._closed = True  # noqa: SLF001
    for part in (client._sender, client.client):  # noqa: SLF001
        try:
            async with asyncio.timeout(DISCARD_S):
                await part.close()
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("Kafka client did not close cleanly", error=repr(error))
