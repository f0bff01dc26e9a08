"""The drain of a paused stream: producers stop, then processors stop once they have counted every trade in Kafka.

The end is proven when no producer pod is left, not even a terminating one, and the offsets that the processors commit
have then reached the end of each topic.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

from marketstream.kafka.positions import group_positions
from marketstream.kafka.topics import topic_name

from marketstream_operator import names
from marketstream_operator.cluster.podproblems import has_ended
from marketstream_operator.cluster.projections import Deployment
from marketstream_operator.kinds import POD
from marketstream_operator.kube.api import Api
from marketstream_operator.names import StreamKey
from marketstream_operator.plan.connection import Connection
from marketstream_operator.plan.desired import Pair
from marketstream_operator.reconcile.probers import Probers, Question
from marketstream_operator.resource.spec import Spec
from marketstream_operator.settings import OperatorSettings

PARALLEL_GROUPS: Final = 8
"""Consumer groups whose offsets are requested at the same time."""

POSITIONS: Final = "positions"
"""The subject of the questions to Kafka."""

AGAIN_S: Final = 0.9
"""Seconds after which an answer is too old: fewer than between two reconciles of a stream that drains."""

NOT_KNOWN: Final = "Kafka is being asked how far the processors have read"

KAFKA_S: Final = 5.0
"""Seconds for one answer from Kafka."""


class Pause(NamedTuple):
    """The progress of a pause: reason and message of the condition Paused."""

    reason: str
    message: str
    has_stopped: bool = False
    """True if the processors have stopped although it is still being checked how far they have read."""

    @property
    def runs(self) -> tuple[bool, bool]:
        """Two flags: True if producers run, and True if processors run."""
        return self.reason == "NotPaused", self.reason in ("NotPaused", "Draining") and not self.has_stopped


NOT_PAUSED = Pause("NotPaused", "spec.paused is false")
_DRAINED = Pause("Drained", "every trade in Kafka is counted")


class Drains:
    """The drains under way."""

    def __init__(self, api: Api, settings: OperatorSettings, probers: Probers) -> None:
        self._api = api
        self._settings = settings
        self._probers = probers
        self._begun: dict[StreamKey, float] = {}
        self._quiet_at: dict[StreamKey, float] = {}
        """The time, by the probers' clock, since which no producer pod is left."""

    def forget(self, key: StreamKey) -> None:
        """Forget a stream that is no longer draining."""
        self._begun.pop(key, None)
        self._quiet_at.pop(key, None)
        self._probers.forget(key, POSITIONS)

    async def stage(
        self, key: StreamKey, spec: Spec, pairs: Iterable[Pair], live: Iterable[Deployment], last_reason: str,
        connection: Connection,
    ) -> Pause:  # fmt: skip
        """Return the progress of the pause of a stream. Raises ApiError.

        `last_reason` is the previous reason of the condition Paused.
        """
        if not spec.paused:
            self.forget(key)
            return NOT_PAUSED
        live = list(live)
        if not any(child.replicas for child in live if child.role == "processor"):
            if last_reason != "Draining" and not any(child.replicas for child in live):
                self.forget(key)
                return _ended(last_reason)
            # The operator was stopped between stopping them and reporting it; or producers have run since.
            left = await self._left(key, spec, list(pairs), live, connection)
            if left == NOT_KNOWN:
                return Pause("Draining", left, has_stopped=True)
            self.forget(key)
            return _timed_out(left) if left else _DRAINED
        begun = self._begun.setdefault(key, time.monotonic())
        left = await self._left(key, spec, list(pairs), live, connection)
        if not left:
            return _DRAINED
        if time.monotonic() - begun >= self._settings.drain_limit_s:
            return _timed_out(left)
        return Pause("Draining", left)

    async def _left(
        self, key: StreamKey, spec: Spec, pairs: list[Pair], live: Iterable[Deployment], connection: Connection
    ) -> str:
        """Return the reason why the processors must not stop yet; empty if they may stop. Raises ApiError."""
        # Until a Deployment has settled at zero, its controller may still create a pod.
        producers = [child for child in live if child.role == "producer"]
        running = sum(bool(child.replicas) or not child.is_settled for child in producers)
        if running:
            self._quiet_at.pop(key, None)
            return f"{running} of {len(producers)} producers have not stopped yet"
        # A fresh list: what the watches have reported may be older than the last writes of the pods.
        selector = f"{names.STREAM}={key.name},{names.COMPONENT}=producer"
        pods = [pod async for pod in self._api.list(POD, key.namespace, selector) if not has_ended(pod)]
        if pods:
            self._quiet_at.pop(key, None)
            return (
                f"{len(pods)} producer pods have not stopped yet"
                if len(pods) > 1
                else "1 producer pod has not stopped yet"
            )
        # What the processors had read before the last producer pod ended proves nothing.
        quiet_at = self._quiet_at.setdefault(key, self._probers.now())
        call = partial(self._behind, key, spec, pairs, connection)
        groups = [names.consumer_group(key, pair.id) for pair in pairs]
        question = Question(key, POSITIONS, tuple(pairs), call, groups)
        answer = self._probers.ask(question, connection, AGAIN_S, AGAIN_S, since=quiet_at)
        if answer is None:
            return NOT_KNOWN
        return str(answer.value if answer.error is None else answer.error)

    async def _behind(self, key: StreamKey, spec: Spec, pairs: Sequence[Pair], connection: Connection) -> str:
        """Return a message that names pairs whose processors are behind; empty if none are.

        PARALLEL_GROUPS pairs are checked at a time, up to the first that are behind. Raises BrokerError, SettingsError.
        """

        async def behind(pair: Pair) -> int:
            topics = [topic_name(self._settings.topic_prefix, spec.exchange, symbol) for symbol in pair.symbols]
            group = names.consumer_group(key, pair.id)
            positions = await group_positions(connection.settings, group, topics, KAFKA_S)
            return sum(not position.is_at_end for position in positions.values())

        for start in range(0, len(pairs), PARALLEL_GROUPS):
            part = pairs[start : start + PARALLEL_GROUPS]
            counts = await asyncio.gather(*map(behind, part), return_exceptions=True)
            for failed in counts:
                if isinstance(failed, BaseException):
                    raise failed
            left = [pair.id for pair, count in zip(part, counts, strict=True) if count]
            if left:
                return f"the processors of {', '.join(left)} have not reached the end of their topics yet"
        return ""


def _timed_out(left: str) -> Pause:
    return Pause(
        "DrainTimeout",
        f"the processors were stopped before they had read everything: {left}. The rest is read on resume",
    )


def _ended(last_reason: str) -> Pause:
    match last_reason:
        case "DrainTimeout":
            message = "the processors were stopped before they had read everything. The rest is read on resume"
            return Pause("DrainTimeout", message)
        case "Drained":
            return _DRAINED
        case _:
            return Pause("Paused", "no pods are running")
