"""Topics of the symbols of a stream: created by Strimzi from KafkaTopic objects, or by the operator itself."""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Final, NamedTuple, Protocol

from marketstream.kafka.admin import ensure_topics
from marketstream.kafka.errors import BrokerUnavailableError
from marketstream.kafka.topics import topic_name

from marketstream_operator import names
from marketstream_operator.cluster.access import Cluster
from marketstream_operator.cluster.apply import write_all
from marketstream_operator.cluster.projections import Topic
from marketstream_operator.kinds import KAFKA_TOPIC
from marketstream_operator.plan import desired
from marketstream_operator.plan.connection import Connection
from marketstream_operator.plan.desired import Owner
from marketstream_operator.reconcile.probers import Probers, Question
from marketstream_operator.resource.spec import Spec
from marketstream_operator.settings import OperatorSettings

KAFKA_S: Final = 8.0
"""Seconds for which the answer of Kafka is waited for, in the background."""

TRUSTED_S: Final = 45.0
"""Seconds for which an existing topic is not checked again: fewer than between two resyncs."""

FAILED_S: Final = 10.0
"""Seconds for which topics that are missing or refused are not checked again: fewer than between two reconciles."""


class TopicState(NamedTuple):
    """The state of the topics of a stream: True if all exist, and the reason and message of KafkaReady."""

    is_ready: bool
    reason: str
    message: str


PENDING: Final = TopicState(False, "NotCheckedYet", "Kafka has not answered yet")
READY: Final = TopicState(True, "TopicsReady", "every symbol has its topic")


class Topics(Protocol):
    """Creates the topics of a stream."""

    async def ensure(self, owner: Owner, spec: Spec, symbols: Iterable[str], connection: Connection) -> TopicState:
        """Create the missing topics of `symbols`, and return the state of all of them."""


class StrimziTopics:
    """A KafkaTopic for each symbol, in the namespace of Kafka, which is that of the stream."""

    def __init__(self, settings: OperatorSettings, cluster: Cluster) -> None:
        self._settings = settings
        self._cluster = cluster

    async def ensure(self, owner: Owner, spec: Spec, symbols: Iterable[str], connection: Connection) -> TopicState:  # noqa: ARG002
        """Apply the KafkaTopics, and delete or release those of symbols that were removed. Raises ApiError."""
        live = {topic.name: topic for topic in self._cluster.observed.topics(owner.key)}
        prefix = self._settings.topic_prefix
        wanted = {names.topic_object(topic_name(prefix, spec.exchange, symbol)): symbol for symbol in symbols}
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
            f"Strimzi has not created {len(unready)} of {len(wanted)} topics yet ({unready[0]}){said}",
        )

    def _removal(self, owner: Owner, spec: Spec, topic: Topic) -> Callable[[], Awaitable[object]]:
        """Return the write for a KafkaTopic that is no longer wanted: deletion, or removal of its owner.

        A kept topic must have no owner, or it would be deleted with its stream later.
        """
        if spec.retention.on_delete == "delete":
            return partial(
                self._cluster.api.delete, KAFKA_TOPIC, owner.key.namespace, topic.name, topic.uid, topic.version
            )
        # The symbol is unknown. With the digest of an empty one, the topic is written again if the symbol returns.
        body = desired.topic(owner, spec, "", self._settings, desired.topic_digest(owner, spec, "", self._settings))
        body["metadata"]["name"] = topic.name
        body["spec"].pop("topicName", None)
        del body["metadata"]["annotations"][names.MADE_BY]  # any operator may use the topic from now on
        if topic.given_name:
            body["spec"]["topicName"] = topic.given_name
        return partial(self._cluster.applier.apply, KAFKA_TOPIC, body, topic)

    def _is_claimed(self, topic: Topic) -> bool:
        """Return True if a MarketStream wants the topic: it is then handed over with its trades, not recreated."""
        name = topic.topic.removeprefix(self._settings.topic_prefix.lower()).removeprefix(".")
        return self._cluster.claims.owner(names.topic_identity(name)) is not None


class ExternalTopics:
    """Topics created through Kafka's admin protocol. They are never deleted, because others may use them."""

    def __init__(self, settings: OperatorSettings, probers: Probers) -> None:
        self._settings = settings
        self._probers = probers

    async def ensure(self, owner: Owner, spec: Spec, symbols: Iterable[str], connection: Connection) -> TopicState:
        """Create missing topics in the background, unless TOPICS_CREATE is false, and return what is known so far.

        Failures of Kafka are part of the state.
        """
        wanted = tuple(topic_name(self._settings.topic_prefix, spec.exchange, symbol) for symbol in symbols)
        if not wanted:
            return READY
        settings = connection.settings.but(
            topic_create=self._settings.topics_create,
            topic_replication=self._settings.topic_replication,
            topic_retention_ms=1000 * spec.retention.trades_s,
        )
        call = partial(ensure_topics, settings, wanted, KAFKA_S, patient=False)
        question = Question(owner.key, "topics", (wanted, settings.topic_retention_ms), call, wanted)
        answer = self._probers.ask(question, connection, TRUSTED_S, FAILED_S)
        if answer is None:
            return PENDING
        if answer.error is None:
            return READY
        is_away = isinstance(answer.error, BrokerUnavailableError)
        return TopicState(False, "KafkaUnavailable" if is_away else "TopicsNotReady", str(answer.error))
