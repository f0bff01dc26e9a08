"""The findings of a reconcile, and a condition before it gets its times."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from marketstream_operator.cluster.podproblems import Problem
from marketstream_operator.cluster.projections import Deployment
from marketstream_operator.names import StreamKey
from marketstream_operator.plan.desired import Pair
from marketstream_operator.reconcile.drain import NOT_PAUSED, Pause
from marketstream_operator.reconcile.freshness import Reading
from marketstream_operator.reconcile.topics import TopicState
from marketstream_operator.resource.errors import AwaitedError, SpecError

Verdict = Literal["True", "False", "Unknown"]

NAMED: Final = 5
"""Maximum number of symbols that a message names. Further symbols are only counted."""


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """The findings of a reconcile."""

    generation: int
    error: SpecError | None = None
    """The error of the spec. While there is one, the last good spec keeps running. An AwaitedError only has to wait."""
    conflicts: Mapping[str, StreamKey] = msgspec.field(default_factory=dict)
    """Symbols that an older MarketStream runs, with that MarketStream."""
    handed_over: Sequence[str] = ()
    """Symbols that wait until the pods of another MarketStream have stopped."""
    orphans: Sequence[StreamKey] = ()
    """Namespaces and names of the Deployments without an owner that run symbols of `handed_over`."""
    topics: TopicState | None = None
    """The state of the topics; None if this reconcile has not checked them."""
    pairs: Sequence[Pair] = ()
    live: Sequence[Deployment] = ()
    problems: Sequence[Problem] = ()
    other_operator: str = ""
    """A message that names the operator to which the objects of the stream belong, if it is another one."""
    stopped: Sequence[str] = ()
    """Objects that are left alone because somebody else keeps changing them."""
    waiting: int = 0
    """Number of pairs that wait for their turn to roll."""
    pause: Pause = NOT_PAUSED
    readings: Mapping[str, Reading] = msgspec.field(default_factory=dict)
    is_redis_unavailable: bool = False
    """True if the freshness of no symbol could be read from Redis."""
    redis_problem: str = ""
    """The error of Redis for some symbols, or for all of them if Redis is unavailable."""

    @property
    def is_waiting(self) -> bool:
        """True if the spec is right, but needs an object that another operator is still creating."""
        return isinstance(self.error, AwaitedError)


class Found(NamedTuple):
    """A condition without its times, before the comparison with the previous one."""

    type: str
    status: Verdict
    reason: str
    message: str


def some(symbols: Sequence[str]) -> str:
    """Return the first symbols by name and the number of the others, as text."""
    named = ", ".join(symbols[:NAMED])
    return named if len(symbols) <= NAMED else f"{named} and {len(symbols) - NAMED} others"


def number(count: int, what: str) -> str:
    """Return a count with its noun, as text."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
