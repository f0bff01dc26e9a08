"""Create missing topics, one partition each, by whichever service starts first.

With TOPIC_CREATE=false somebody else creates them, such as an operator, and the services wait for them.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from marketstream.backoff import delays
from marketstream.kafka.client import connection
from marketstream.kafka.errors import BrokerError, BrokerRefusedError, BrokerUnavailableError, TopicMissingError
from marketstream.kafka.topics import named
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)


async def ensure_topics(
    settings: Settings, topics: Iterable[str], limit_s: float | None = None, *, patient: bool = True
) -> None:
    """Create those of `topics` that are missing, with the retention and the replicas of the settings.

    With TOPIC_CREATE=false, wait for them instead; if not `patient`, raise TopicMissingError at once. Retries while
    Kafka is unavailable.

    Raises, after `limit_s` seconds (START_LIMIT_S by default), BrokerUnavailableError if Kafka is unavailable, or
    TopicMissingError if topics are still missing. Raises BrokerRefusedError if Kafka refuses a topic, or if a topic
    has more than one partition, which would not keep a symbol's trades in order; other topics are created first.
    """
    wanted = sorted(set(topics))
    limit_s = settings.start_limit_s if limit_s is None else limit_s
    last: Exception | None = None
    try:
        async with asyncio.timeout(limit_s):
            for delay in delays(0.1, 5.0):
                try:
                    failed = await try_topics(settings, wanted)
                    if not failed:
                        return
                    raise first_error(failed)
                except (KafkaError, OSError) as error:
                    last = error
                    if not patient and _must_others_create(settings, error):
                        raise TopicMissingError(str(error)) from error
                    log.warning("topics not ready, will retry", error=str(error), retry_s=round(delay, 1))
                await asyncio.sleep(delay)
    except TimeoutError:
        raise not_ready(settings, wanted, limit_s, last) from last


def _must_others_create(settings: Settings, error: Exception) -> bool:
    return not settings.topic_create and isinstance(error, UnknownTopicOrPartitionError)


def not_ready(settings: Settings, wanted: Sequence[str], limit_s: float, last: Exception | None) -> BrokerError:
    """Return the error for topics that could not be used within `limit_s` seconds; `last` is the last error."""
    kind = TopicMissingError if isinstance(last, UnknownTopicOrPartitionError) else BrokerUnavailableError
    return kind(
        f"the topics {named(wanted)} were not ready within {limit_s:g} s at {settings.kafka_bootstrap}: "
        f"{last or 'Kafka does not answer'}"
    )


def first_error(failed: Mapping[str, Exception]) -> Exception:
    """Return the error that says most about the topics that failed: a refusal, else any but that a topic is missing."""
    missing = [topic for topic, error in failed.items() if isinstance(error, UnknownTopicOrPartitionError)]
    if len(missing) == len(failed):
        return cast("Exception", UnknownTopicOrPartitionError(f"topics do not exist yet: {named(missing)}"))
    others = [error for topic, error in failed.items() if topic not in missing]
    return next((error for error in others if isinstance(error, BrokerRefusedError)), others[0])


async def try_topics(
    settings: Settings, wanted: list[str], usable: Callable[[set[str]], None] = lambda _: None
) -> dict[str, Exception]:
    """Create missing topics once, and return those that cannot be used, each with its error.

    `usable` is called with the others as soon as they are found. Raises KafkaError, OSError or BrokerError when Kafka
    does not answer.
    """
    admin = AIOKafkaAdminClient(**connection(settings), client_id="marketstream-admin", request_timeout_ms=10_000)
    try:
        await admin.start()
        missing, failed = await _missing(admin, wanted)
        usable(set(wanted) - set(missing) - failed.keys())
        if missing and settings.topic_create:
            failed |= await _create(admin, missing, settings)
            created = [topic for topic in missing if topic not in failed]
            missing, more = await _missing(admin, created)
            failed |= more
            usable(set(created) - set(missing) - more.keys())
        return failed | {topic: UnknownTopicOrPartitionError("Kafka does not have the topic") for topic in missing}
    finally:
        await admin.close()


async def _missing(admin: Any, topics: list[str]) -> tuple[list[str], dict[str, Exception]]:
    """Return the topics that do not exist, and the existing ones that cannot be used, each with its error."""
    missing, failed = list[str](), dict[str, Exception]()
    for described in await admin.describe_topics(topics) if topics else ():
        try:
            if not _exists(described):
                missing.append(described["topic"])
        except (BrokerRefusedError, KafkaError) as error:
            failed[described["topic"]] = error
    return missing, failed


def _exists(described: Mapping[str, Any]) -> bool:
    topic, error = described["topic"], for_code(described["error_code"])
    if error is UnknownTopicOrPartitionError:
        return False
    if error is not NoError:
        raise _refusal(topic, error)
    partitions = len(described["partitions"])
    if partitions != 1:
        raise BrokerRefusedError(
            f"the topic {topic} has {partitions} partitions: expected 1, because only a single partition keeps a "
            f"symbol's trades in order. Delete the topic or choose another TOPIC_PREFIX"
        )
    return True


async def _create(admin: Any, topics: list[str], settings: Settings) -> dict[str, Exception]:
    """Create the topics, and return those that Kafka does not create, each with its error."""
    # aiokafka accepts a replication of -1 (the broker's default) only with an assignment, which may be empty.
    assignments: dict[int, list[int]] | None = {} if settings.topic_replication == -1 else None
    configs = {"retention.ms": str(settings.topic_retention_ms)}
    answer = await admin.create_topics(
        [NewTopic(topic, 1, settings.topic_replication, assignments, configs) for topic in topics]
    )
    failed: dict[str, Exception] = {}
    for topic, code, *message in answer.topic_errors:
        error = for_code(code)
        if error is NoError:
            log.info("topic created", topic=topic)
        elif error is not TopicAlreadyExistsError:  # another service was faster
            failed[topic] = _refusal(topic, error, *message)
    return failed


def _refusal(topic: str, error: Any, *message: str | None) -> Exception:
    """Return the exception to raise for Kafka's error: the error itself if a retry may help."""
    if error.retriable:
        return cast("Exception", error(topic))
    said = " ".join(filter(None, (error.__name__, *message)))
    return BrokerRefusedError(f"Kafka refuses the topic {topic!r}: {said}")
