"""The processor's side of Kafka: a member of a consumer group that chooses the offset at which it reads each topic."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError, TopicAuthorizationFailedError

from marketstream.kafka.client import connection
from marketstream.kafka.errors import BrokerUnavailableError
from marketstream.kafka.internals import metadata
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)

POLL_S: Final = 0.5
"""Maximum seconds for which a poll waits for messages."""

POLL_RECORDS: Final = 1_000
"""Maximum number of messages in a poll. Other work, such as group heartbeats, waits while they are applied."""

METADATA_S: Final = 10.0
"""Seconds between two requests for the cluster's metadata, which show if a topic was deleted and created again."""

DENIED_S: Final = 10.0
"""Seconds after which a topic that this user may not read is tried again."""

ALLOWED_S: Final = 2.0
"""Seconds for which such a topic must then be read without a refusal before it counts as readable."""

OFFSETS_S: Final = 5.0
"""Seconds within which Kafka must report the offsets of topics."""

STOP_LIMIT_S: Final = 2.0
"""Maximum seconds for leaving the group."""


class Offsets(NamedTuple):
    """The first offset that a topic still holds, and the offset of its next record."""

    begin: int
    end: int


class Consumer:
    """Consumer of the topics that the group assigns to it. `assigned` and `revoked` are called at every change.

    A newly assigned topic is paused until its owner has claimed the symbol and calls `read_from`. The offsets to read
    from are kept in PostgreSQL. Those committed to the group are for lag tools and are never read back.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Sequence[str],
        *,
        assigned: Callable[[set[str]], None],
        revoked: Callable[[set[str]], None],
    ) -> None:
        self._topics = list(topics)
        self._denied: dict[str, float] = {}
        """The topics that this user may not read, each with the monotonic time of its next attempt."""
        self._retried: set[str] = set()
        """The denied topics that are being read again, to see if they are still denied."""
        self._problems: dict[str, tuple[float, str]] = {}
        self._check_at_s = 0.0
        self._listener = _Listener(self, assigned, revoked)
        self._client = AIOKafkaConsumer(
            **connection(settings),
            client_id="marketstream-processor",
            group_id=settings.consumer_group,
            enable_auto_commit=False,
            # read_from sets the offset to begin at. If that offset no longer exists, reading begins at the earliest
            # one, and the reader sees the offsets jump.
            auto_offset_reset="earliest",
            session_timeout_ms=settings.kafka_session_timeout_ms,
            heartbeat_interval_ms=max(settings.kafka_session_timeout_ms // 5, 100),
            # Every topic has one partition, so the range assignor would assign all of them to the first member.
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
            metadata_max_age_ms=int(METADATA_S * 1000),
            fetch_max_bytes=16 * 1024 * 1024,
            max_partition_fetch_bytes=1024 * 1024,
        )

    async def start(self) -> None:
        """Join the group. Raises BrokerUnavailableError when Kafka is unavailable."""
        try:
            await self._client.start()
        except (KafkaError, OSError) as error:
            await self.stop()
            raise BrokerUnavailableError(f"cannot reach Kafka: {error}") from error
        self._client.subscribe(self._topics, listener=self._listener)

    def add(self, topics: Iterable[str]) -> None:
        """Read these topics, too. The group assigns all topics anew."""
        self._topics += topics
        self._client.subscribe(self._topics, listener=self._listener)

    async def stop(self) -> None:
        """Leave the group, within STOP_LIMIT_S."""
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await self._client.stop()
        except (TimeoutError, KafkaError, OSError) as error:
            log.warning("consumer did not leave its group cleanly", error=str(error) or "timed out")

    async def poll(self) -> dict[str, list[Any]]:
        """Return the next messages by topic, in order, each with `offset` and `value`; none if none arrives in POLL_S.

        Raises BrokerUnavailableError when Kafka is unavailable or refuses.
        """
        self._retry_denied()
        self._check_topics()
        try:
            batches = await self._client.getmany(timeout_ms=int(POLL_S * 1000), max_records=POLL_RECORDS)
        except TopicAuthorizationFailedError as error:
            self._deny(str(error.args[0]) if error.args else "")
            return {}
        except (KafkaError, OSError) as error:
            raise BrokerUnavailableError(f"cannot read from Kafka: {error}") from error
        return {partition.topic: messages for partition, messages in batches.items()}

    async def offsets(self, topics: Iterable[str]) -> dict[str, Offsets]:
        """Return the first and the next offset of each topic, without the topics for which Kafka reports none.

        All topics are queried at once and, when that fails, each by itself, so that a missing or unreadable topic does
        not affect the others. Raises BrokerUnavailableError when Kafka reports no offsets at all.
        """
        partitions = [TopicPartition(topic, 0) for topic in topics]
        try:
            return await self._offsets(partitions)
        except BrokerUnavailableError:
            if len(partitions) < 2:
                raise
        each = await asyncio.gather(*(self._offsets([one]) for one in partitions), return_exceptions=True)
        found: dict[str, Offsets] = {}
        for offsets in each:
            if isinstance(offsets, dict):
                found |= offsets
            elif not isinstance(offsets, BrokerUnavailableError):
                raise offsets
        if not found:
            raise next(error for error in each if isinstance(error, BrokerUnavailableError))
        return found

    async def _offsets(self, partitions: list[TopicPartition]) -> dict[str, Offsets]:
        try:
            async with asyncio.timeout(OFFSETS_S):
                begins = await self._client.beginning_offsets(partitions)
                ends = await self._client.end_offsets(partitions)
        except (KafkaError, OSError, TimeoutError, ValueError) as error:
            names = ", ".join(partition.topic for partition in partitions[:3])
            raise BrokerUnavailableError(
                f"cannot read the offsets of {names} from Kafka: {str(error) or 'timed out'}"
            ) from error
        return {partition.topic: Offsets(begins[partition], ends[partition]) for partition in partitions}

    def problems(self) -> dict[str, tuple[float, str]]:
        """Return the topics that cannot be read, each with the seconds since that was noticed and the reason."""
        now = time.monotonic()
        return {topic: (now - since_s, why) for topic, (since_s, why) in self._problems.items()}

    def _check_topics(self) -> None:
        """Compare the topics with the cluster's metadata, at most once a second."""
        now = time.monotonic()
        if now < self._check_at_s:
            return
        self._check_at_s = now + 1.0
        cluster = metadata(self._client)
        known = cluster.topics()
        why = {topic: "Kafka does not have the topic" for topic in self._topics if topic not in known}
        # Without the permission, Kafka does not say if there is such a topic.
        why |= {topic: "this user may not describe the topic" for topic in cluster.unauthorized_topics if topic in why}
        why |= dict.fromkeys(self._denied, "this user may not read the topic")
        self._problems = {topic: (self._problems.get(topic, (now,))[0], text) for topic, text in why.items()}

    def _deny(self, topic: str) -> None:
        if topic not in self._denied:
            log.error("topic not authorized, will retry", topic=topic, retry_s=DENIED_S)
        self._denied[topic] = time.monotonic() + DENIED_S
        self._retried.discard(topic)
        self.pause([topic])

    def _retry_denied(self) -> None:
        """Read denied topics again once they are due, and forget a denial that was not repeated."""
        now = time.monotonic()
        for topic, due_s in list(self._denied.items()):
            if now >= due_s and topic not in self._retried:
                self._retried.add(topic)
                self.resume([topic])
            elif now >= due_s + ALLOWED_S:
                del self._denied[topic]
                self._retried.discard(topic)
                log.info("topic authorized again", topic=topic)

    def read_from(self, topic: str, offset: int) -> bool:
        """Begin to read an assigned topic at the offset. Return False if it is no longer assigned."""
        partition = TopicPartition(topic, 0)
        try:
            self._client.seek(partition, offset)
            self._client.resume(partition)
        except IllegalStateError:
            return False
        return True

    def pause(self, topics: Iterable[str]) -> None:
        """Read nothing from these topics until `read_from` or `resume`."""
        for partition in self._held(topics):
            self._client.pause(partition)

    def resume(self, topics: Iterable[str]) -> None:
        """Continue reading after `pause`."""
        for partition in self._held(topics):
            self._client.resume(partition)

    def lag(self, topic: str, position: int) -> int:
        """Return the number of records in the topic at or after the offset `position`, as of the last fetch."""
        (partition,) = self._held([topic]) or (None,)
        end = self._client.highwater(partition) if partition else None
        return max(0, (end or position) - position)

    async def commit(self, positions: dict[str, int], limit_s: float = 5.0) -> bool:
        """Commit to the group the offsets up to which topics are stored, if the topics are still assigned here.

        Return False if the commit failed. The usual reason is a rebalance, and no harm is done: the offsets that count
        are in PostgreSQL.
        """
        offsets = {TopicPartition(topic, 0): position for topic, position in positions.items()}
        held = {partition: offset for partition, offset in offsets.items() if partition in self._client.assignment()}
        if not held:
            return True
        try:
            async with asyncio.timeout(limit_s):
                await self._client.commit(held)
        except (KafkaError, OSError, TimeoutError) as error:
            log.debug("group offsets not committed", error=str(error) or "timed out")
            return False
        return True

    def _held(self, topics: Iterable[str]) -> list[TopicPartition]:
        assignment = self._client.assignment()
        return [partition for topic in topics if (partition := TopicPartition(topic, 0)) in assignment]


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(
        self, consumer: Consumer, assigned: Callable[[set[str]], None], revoked: Callable[[set[str]], None]
    ) -> None:
        self._consumer = consumer
        self._assigned = assigned
        self._revoked = revoked

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._revoked({partition.topic for partition in revoked})

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        topics = {partition.topic for partition in assigned}
        self._consumer.pause(topics)
        self._assigned(topics)
