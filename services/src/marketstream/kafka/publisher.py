"""The producer's side of Kafka: records go out in order, and it is known which of them Kafka has.

Built on aiokafka's idempotent producer, which tries again for as long as it takes and so waits out a broker that is
away. What it cannot wait out, such as a sequence number that the broker does not expect, would fail every later record
of the topic too: then the client is thrown away and a new one made. What had not been acknowledged is given up: it is
a hole in the trades, and the processor fills holes from the exchange's history.
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
"""Records on their way at a time; beyond it `send` waits."""

MOST_BYTES: Final = 16 * 1024 * 1024
"""Bytes of records on their way at a time, before compression; beyond it `send` waits."""

BATCH_BYTES: Final = 512 * 1024
"""Of records that go together, before compression: below the megabyte that brokers take by default."""

CLOSE_S: Final = 2.0
"""Seconds that a graceful close waits for what is on its way."""

DISCARD_S: Final = 0.5
"""Seconds for each of the two parts of a client to close; with the above, within the seconds that a stop may take."""


class Publisher:
    """Sends records to topics of one partition. Call `start` before and `close` after use."""

    def __init__(
        self,
        settings: Settings,
        *,
        most_unacknowledged: int = MOST_UNACKNOWLEDGED,
        on_failure: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`on_failure` is told how many records were given up each time a client is thrown away."""
        self._settings = settings
        self._most = most_unacknowledged
        self._on_failure = on_failure
        self._client: Any = None
        self._opening = asyncio.Lock()
        # What is on its way, oldest first: the answer that `send` gave, when, and the record's bytes.
        self._waiting: dict[asyncio.Future[bool], tuple[float, int]] = {}
        self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._discarding: set[asyncio.Task[None]] = set()

    @property
    def unacknowledged(self) -> int:
        """How many records are on their way."""
        return len(self._waiting)

    def silence_s(self) -> float:
        """For how many seconds the oldest record on its way has been waiting for Kafka; 0 when none is."""
        oldest = next(iter(self._waiting.values()), None)
        return 0.0 if oldest is None else time.monotonic() - oldest[0]

    async def start(self) -> None:
        """Connects, for as long as it takes."""
        await self._open()

    async def send(self, topic: str, value: bytes) -> "asyncio.Future[bool]":
        """Hands a record over, after all earlier ones of its topic. Waits while too many are on their way.

        The answer becomes True when Kafka has acknowledged the record, False when it was given up. Answers of one
        topic come in the order of its records; await them with asyncio.wait, which does not cancel them.

        Raises BrokerRefusedError for a record that Kafka never takes.
        """
        if len(value) > BATCH_BYTES:
            raise BrokerRefusedError(f"a record of {len(value)} bytes for {topic}: expected at most {BATCH_BYTES}")
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
        """Waits up to `limit_s` seconds for what is on its way, then disconnects; what is left is given up."""
        if self._waiting:
            await asyncio.wait(list(self._waiting), timeout=limit_s)
        client, self._client = self._client, None
        if client is not None:
            if self._waiting:
                log.warning("records given up at the end", records=len(self._waiting))
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
                continue  # its buffer is full because the broker is away: nothing is lost by waiting on
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
        """Throws a client away, once, with all that it had not brought to Kafka."""
        if client is not self._client:
            return
        log.error("the Kafka client failed, a new one is made", error=repr(error), records_given_up=len(self._waiting))
        self._client = None
        self._give_up()
        task = asyncio.create_task(_discard(client))
        self._discarding.add(task)
        task.add_done_callback(self._discarding.discard)

    async def _open(self) -> Any:
        async with self._opening:
            if self._client is not None:  # another one waited for the same
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
                    log.warning("Kafka cannot be reached", error=str(error), retry_s=round(delay, 1))
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
    """Disconnects without waiting for what is still to be sent.

    aiokafka's own stop() waits for that, for ever when the broker is away (aio-libs/aiokafka issue 1101), and a
    sender that goes on would bring old records to Kafka behind new ones. Hence by its private names.
    """
    client._closed = True  # noqa: SLF001
    for part in (client._sender, client.client):  # noqa: SLF001
        try:
            async with asyncio.timeout(DISCARD_S):
                await part.close()
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("a Kafka client did not close well", error=repr(error))
