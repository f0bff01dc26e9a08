"""Pausing a stream so that nothing is left in Kafka uncounted: producers stop, processors read on to the end, and stop.

The proof of the end: no producer pod is left, those that are being ended included, and then the position that the
processors have committed is that of the end of each topic.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from marketstream.kafka.errors import BrokerError
from marketstream.kafka.positions import group_positions
from marketstream.kafka.topics import topic_name
from marketstream.settings import SettingsError

from marketstream_operator import names
from marketstream_operator.cluster.podproblems import has_ended
from marketstream_operator.cluster.projections import Deployment
from marketstream_operator.kinds import POD
from marketstream_operator.kube.api import Api
from marketstream_operator.names import StreamKey
from marketstream_operator.plan.connection import Connection
from marketstream_operator.plan.desired import Pair
from marketstream_operator.resource.spec import Spec
from marketstream_operator.settings import OperatorSettings

ABREAST: Final = 8
"""Consumer groups that are asked for at the same time."""

KAFKA_S: Final = 5.0
"""Seconds for one answer of Kafka."""


class Pause(NamedTuple):
    """How far a pause has come. `reason` is that of the condition Paused."""

    reason: str
    message: str

    @property
    def runs(self) -> tuple[bool, bool]:
        """Whether producers and processors run."""
        return self.reason == "NotPaused", self.reason in ("NotPaused", "Draining")


NOT_PAUSED = Pause("NotPaused", "spec.paused is false")
_DRAINED = Pause("Drained", "every trade in Kafka is counted")


class Drains:
    """The pauses under way."""

    def __init__(self, api: Api, settings: OperatorSettings) -> None:
        self._api = api
        self._settings = settings
        self._begun: dict[StreamKey, float] = {}

    def forget(self, key: StreamKey) -> None:
        """It is not paused any more."""
        self._begun.pop(key, None)

    async def stage(
        self, key: StreamKey, spec: Spec, pairs: Iterable[Pair], live: Iterable[Deployment], last_reason: str,
        connection: Connection,
    ) -> Pause:  # fmt: skip
        """How far the pause of this stream has come. `last_reason` is what its condition Paused said before."""
        if not spec.paused:
            self.forget(key)
            return NOT_PAUSED
        live = list(live)
        if not any(child.replicas for child in live if child.role == "processor"):
            self.forget(key)
            if last_reason != "Draining" and not any(child.replicas for child in live):
                return _ended(last_reason)
            # Whoever stopped them was stopped, too, before it could say why; or producers have run since.
            left = await self._left(key, spec, list(pairs), live, connection)
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
        """What still speaks against stopping the processors; empty when nothing does. Raises ApiError."""
        # Until its controller has settled a Deployment at zero, it may be about to make a pod.
        producers = [child for child in live if child.role == "producer"]
        running = sum(bool(child.replicas) or not child.is_settled for child in producers)
        if running:
            return f"{running} of {len(producers)} producers have not ended yet"
        # Asked anew: what the watches have told may be older than the pods' last words.
        selector = f"{names.STREAM}={key.name},{names.COMPONENT}=producer"
        pods = [pod async for pod in self._api.list(POD, key.namespace, selector) if not has_ended(pod)]
        if pods:
            return (
                f"{len(pods)} producer pods have not ended yet" if len(pods) > 1 else "1 producer pod has not ended yet"
            )
        try:
            return await self._behind(key, spec, pairs, connection)
        except (BrokerError, SettingsError) as error:
            return str(error)

    async def _behind(self, key: StreamKey, spec: Spec, pairs: Sequence[Pair], connection: Connection) -> str:
        """The first pairs that have not read their topics to the end; the others are asked about when these have.
        Raises BrokerError, SettingsError."""

        async def behind(pair: Pair) -> int:
            topics = [topic_name(self._settings.topic_prefix, spec.exchange, symbol) for symbol in pair.symbols]
            group = names.consumer_group(key, pair.id)
            positions = await group_positions(connection.settings, group, topics, KAFKA_S)
            return sum(not position.is_at_end for position in positions.values())

        for start in range(0, len(pairs), ABREAST):
            part = pairs[start : start + ABREAST]
            counts = await asyncio.gather(*map(behind, part), return_exceptions=True)
            for failed in counts:
                if isinstance(failed, BaseException):
                    raise failed
            left = [pair.id for pair, count in zip(part, counts, strict=True) if count]
            if left:
                return f"the processors of {', '.join(left)} have not reached the end of their topics yet"
        return ""


def _timed_out(left: str) -> Pause:
    return Pause("DrainTimeout", f"the processors were stopped before the end: {left}. The rest is read on resume")


def _ended(last_reason: str) -> Pause:
    match last_reason:
        case "DrainTimeout":
            return Pause("DrainTimeout", "the processors were stopped before the end. The rest is read on resume")
        case "Drained":
            return _DRAINED
        case _:
            return Pause("Paused", "nothing runs")
