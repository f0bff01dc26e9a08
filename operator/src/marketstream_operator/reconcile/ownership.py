"""The operator that serves a MarketStream: one of several that may see it.

An operator claims a MarketStream in its status before it creates anything, and its objects carry the operator's
identity. It writes no object of another operator. The claim decides between operators that see a new MarketStream at
the same time; the objects decide afterwards, because a person can release them with one command.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from marketstream_operator import names
from marketstream_operator.cluster.apply import OtherOperatorError
from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import Deployment, MarketStream, Topic
from marketstream_operator.kinds import DEPLOYMENT, KAFKA_TOPIC, Kind
from marketstream_operator.names import StreamKey

CLAIM_S: Final = 15.0
"""Seconds for which the claim of another operator holds that has created no object, or whose objects were released."""


class Held(NamedTuple):
    """Another operator serves a MarketStream: a message for its status, and the seconds until its claim ends.

    Without seconds, the claim ends when a person releases its objects.
    """

    message: str
    again_s: float | None = None


class Ownership:
    """Decides whether this operator may serve a MarketStream. `clock` is monotonic, in seconds."""

    def __init__(self, observed: Observed, identity: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._observed = observed
        self._me = identity
        self._clock = clock
        self._claims: dict[StreamKey, tuple[str, float]] = {}
        """The claims of other operators without an object, each with the time at which it was first seen."""

    def forget(self, key: StreamKey) -> None:
        """Forget a MarketStream that was deleted."""
        self._claims.pop(key, None)

    def held(self, stream: MarketStream) -> Held | None:
        """Return the reason why another operator serves a MarketStream; None if this one may."""
        key = stream.key
        for kind, children in self._children(key):
            others = sorted({child.made_by for child in children} - {"", self._me})
            if others:
                self._claims.pop(key, None)
                return self._with_command(others[0], key.namespace, f"{kind.plural} -l {names.STREAM}={key.name}")
        claimed = str(stream.status.get("operator") or self._me)
        if claimed == self._me:
            self._claims.pop(key, None)
            return None
        by, since = self._claims.get(key, ("", 0.0))
        if by != claimed:
            since = self._clock()
            self._claims[key] = claimed, since
        left_s = since + CLAIM_S - self._clock()
        if left_s <= 0:
            return None
        return Held(f"the operator {claimed} has claimed this MarketStream: its claim ends unless it acts", left_s)

    def is_claimed(self, stream: MarketStream) -> bool:
        """Return True if the status of a MarketStream names this operator."""
        return stream.status.get("operator") == self._me

    def refused(self, key: StreamKey, error: OtherOperatorError) -> Held:
        """Return the message for an object that another operator has made for another MarketStream."""
        return self._with_command(error.made_by, key.namespace, f"{error.kind.plural} {error.name}")

    def _with_command(self, other: str, namespace: str, objects: str) -> Held:
        return Held(
            f"its objects belong to the operator {other}, not to {self._me}. To hand them over, stop the other "
            f"operator and run: kubectl -n {namespace} annotate {objects} {names.MADE_BY}-"
        )

    def _children(self, key: StreamKey) -> tuple[tuple[Kind, Sequence[Deployment | Topic]], ...]:
        return (DEPLOYMENT, self._observed.deployments(key)), (KAFKA_TOPIC, self._observed.topics(key))
