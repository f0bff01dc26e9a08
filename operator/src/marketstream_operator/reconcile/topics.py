"""The topics of a stream's symbols: made by Strimzi from KafkaTopic objects, or by the operator itself."""

import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Final, NamedTuple, Protocol

from marketstream.kafka.admin import ensure_topics
from marketstream.kafka.errors import BrokerError, BrokerUnavailableError
from marketstream.kafka.topics import topic_name
from marketstream.settings import SettingsError

from marketstream_operator import names
from marketstream_operator.cluster.access import Cluster
from marketstream_operator.cluster.apply import write_all
from marketstream_operator.cluster.projections import Topic
from marketstream_operator.kinds import KAFKA_TOPIC
from marketstream_operator.plan import desired
from marketstream_operator.plan.connection import Connection
from marketstream_operator.plan.desired import Owner
from marketstream_operator.resource.spec import Spec
from marketstream_operator.settings import OperatorSettings

KAFKA_S: Final = 8.0
"""Seconds for which a reconcile waits for Kafka."""

TRUSTED_S: Final = 45.0
"""Seconds for which topics that were there are not asked for again: less than between two looks at everything."""

AWAY_S: Final = 15.0
"""Seconds for which a Kafka that did not answer is not asked again: other streams would wait for it in vain."""


class TopicState(NamedTuple):
    """Whether all topics are there; else a reason in CamelCase, and what is wrong."""

    is_ready: bool
    reason: str
    message: str


READY: Final = TopicState(True, "TopicsReady", "every symbol has its topic")


class Topics(Protocol):
    """Sees to the topics of a stream."""

    async def ensure(self, owner: Owner, spec: Spec, symbols: Iterable[str], connection: Connection) -> TopicState:
        """Makes what is missing of the topics of `symbols`, and says how far that is."""


class StrimziTopics:
    """A KafkaTopic for each symbol, in the namespace of Kafka, where the stream is too."""

    def __init__(self, settings: OperatorSettings, cluster: Cluster) -> None:
        self._settings = settings
        self._cluster = cluster

    async def ensure(self, owner: Owner, spec: Spec, symbols: Iterable[str], connection: Connection) -> TopicState:  # noqa: ARG002
        """Applies the KafkaTopics, and removes or sets free those of symbols that are gone. Raises ApiError."""
        live = {topic.name: topic for topic in self._cluster.observed.topics(owner.key)}
        wanted = {topic_name(self._settings.topic_prefix, spec.exchange, symbol): symbol for symbol in symbols}
        writes: list[Callable[[], Awaitable[object]]] = [
            self._removal(owner, spec, topic)
            for topic in live.values()
            if topic.name not in wanted and topic.owner_uid == owner.uid and not self._is_claimed(topic)
        ]
        for name, symbol in wanted.items():
            digest = desired.topic_digest(owner, spec, symbol, self._settings)
            if self._cluster.applier.is_due(KAFKA_TOPIC, live.get(name), digest):
                body = desired.topic(owner, spec, symbol, self._settings, digest)
                writes.append(partial(self._cluster.applier.apply, KAFKA_TOPIC, body, live.get(name)))
        await write_all(writes)
        unready = sorted(name for name in wanted if name not in live or not live[name].is_ready)
        if not unready:
            return READY
        said = next((f": {live[name].problem}" for name in unready if name in live and live[name].problem), "")
        return TopicState(
            False,
            "TopicsNotReady",
            f"Strimzi has not made {len(unready)} of {len(wanted)} topics yet ({unready[0]}){said}",
        )

    def _removal(self, owner: Owner, spec: Spec, topic: Topic) -> Callable[[], Awaitable[object]]:
        """What becomes of a topic that is wanted no more. One that is kept must belong to nobody, or it would go with
        its stream later."""
        if spec.retention.on_delete == "delete":
            return partial(
                self._cluster.api.delete, KAFKA_TOPIC, owner.key.namespace, topic.name, topic.uid, topic.version
            )
        # Its symbol is not known. So the digest is that of no symbol, and one that comes back is written again.
        body = desired.topic(owner, spec, "", self._settings, desired.topic_digest(owner, spec, "", self._settings))
        body["metadata"]["name"] = topic.name
        return partial(self._cluster.applier.apply, KAFKA_TOPIC, body, topic)

    def _is_claimed(self, topic: Topic) -> bool:
        """Whether a MarketStream wants the topic: it is handed over with its trades, not deleted and made again."""
        name = topic.name.removeprefix(self._settings.topic_prefix.lower()).removeprefix(".")
        return self._cluster.claims.owner(names.symbol_identity(*name.split(".", 1))) is not None


class ExternalTopics:
    """Topics made through Kafka's admin protocol. They are never deleted: others may use them."""

    def __init__(self, settings: OperatorSettings) -> None:
        self._settings = settings
        self._seen: dict[tuple[str, str, str], float] = {}
        """When each was there; only what is newer than TRUSTED_S."""
        self._away: dict[tuple[str, str], tuple[float, TopicState]] = {}
        """Those that did not answer, by address and by credentials: one may be refused where others are not. Every
        stream is told the same, so it names no topics."""

    async def ensure(self, owner: Owner, spec: Spec, symbols: Iterable[str], connection: Connection) -> TopicState:  # noqa: ARG002
        """Makes what is missing, unless TOPICS_CREATE is false."""
        kafka, now = (connection.settings.kafka_bootstrap, connection.credentials), time.monotonic()
        wanted = [topic_name(self._settings.topic_prefix, spec.exchange, symbol) for symbol in symbols]
        due = [name for name in wanted if now - self._seen.get((*kafka, name), now - TRUSTED_S) >= TRUSTED_S]
        if not due:
            return READY
        asked_at, state = self._away.get(kafka, (now - AWAY_S, READY))
        if now - asked_at < AWAY_S:
            return state
        settings = connection.settings.but(
            topic_create=self._settings.topics_create,
            topic_replication=self._settings.topic_replication,
            topic_retention_ms=1000 * spec.retention.trades_s,
        )
        try:
            await ensure_topics(settings, due, KAFKA_S, patient=False)
        except BrokerUnavailableError as error:
            state = TopicState(False, "KafkaUnavailable", _unavailable(settings.kafka_bootstrap, error, due))
            self._away[kafka] = (time.monotonic(), state)
            return state
        except (BrokerError, SettingsError) as error:
            return TopicState(False, "TopicsNotReady", str(error))
        self._away.pop(kafka, None)
        now = time.monotonic()
        self._seen = {each: seen for each, seen in self._seen.items() if now - seen < TRUSTED_S}
        self._seen.update({(*kafka, name): now for name in due})
        return READY


def _unavailable(bootstrap: str, error: BrokerUnavailableError, topics: Iterable[str]) -> str:
    """What is wrong with a Kafka, without the topics for which it was asked."""
    cause = error.__cause__
    said = str(cause) if cause is not None else f"no answer within {KAFKA_S:g} s"
    if any(name in said for name in topics):
        said = type(cause).__name__
    return f"Kafka at {bootstrap} cannot be used: {said}"
