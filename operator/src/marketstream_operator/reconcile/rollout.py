"""Turns for pairs to roll after a change of the operator's own settings, which affects every pair.

Only a few pairs roll at a time. A pair that gets stuck keeps its turn, so an image that does not start spreads no
further. Its Deployments carry a mark of the settings for which they got the turn, so the next leader counts it, too.
"""

from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import Deployment
from marketstream_operator.kinds import DEPLOYMENT
from marketstream_operator.names import StreamKey


class Rollout:
    """The pairs that roll because of the operator's settings, and the MarketStreams that wait for a turn.

    `most` pairs roll at a time. `mark` is a digest of the settings.
    """

    def __init__(self, observed: Observed, most: int, mark: str) -> None:
        self._observed = observed
        self._most = most
        self._mark = mark
        self._rolling: set[tuple[StreamKey, str]] = set()
        self._taken_over: set[tuple[StreamKey, str]] = set()
        """Rolling pairs that an earlier leader has begun to roll, for another reason than the present settings.

        Once stuck, they must not block others.
        """
        self._waiting: dict[StreamKey, None] = {}
        """The MarketStreams that wait, in the order in which they began to."""
        self._called: set[StreamKey] = set()
        """The MarketStreams that are to be reconciled because of a free turn, and have not been yet."""

    def begin(self) -> None:
        """Take over from an earlier leader: count the pairs that it has begun to roll.

        Stuck pairs count only if they got stuck with the present settings.
        """
        live = [child for child in self._observed.all(DEPLOYMENT) if isinstance(child, Deployment)]
        marked = {(child.key, child.pair) for child in live if child.is_rolling and child.roll == self._mark}
        stuck = {(child.key, child.pair) for child in live if child.is_stuck}
        unsettled = {
            (child.key, child.pair)
            for child in live
            if child.generation > 1 and child.is_ready and not child.is_settled
        }
        self._taken_over = unsettled - stuck - marked
        self._rolling = self._taken_over | marked

    def may_roll(self, key: StreamKey, pair: str) -> bool:
        """Return True if this pair may roll now. If not, `next` returns its MarketStream once there is room."""
        if (key, pair) in self._rolling:
            return True
        if len(self._rolling) >= self._most:
            self._waiting.setdefault(key)
            return False
        self._rolling.add((key, pair))
        return True

    def mark(self, key: StreamKey, pair: str) -> str:
        """Return the mark for the Deployments of a pair; empty if it rolls without a turn."""
        return self._mark if (key, pair) in self._rolling - self._taken_over else ""

    def release(self, key: StreamKey) -> None:
        """Give up the turns of pairs of a MarketStream that have settled."""
        live = self._observed.deployments(key)
        unsettled = {(key, child.pair) for child in live if not child.is_settled}
        stuck = {(key, child.pair) for child in live if child.is_stuck}
        holding = unsettled - (stuck & self._taken_over)
        self._rolling = {turn for turn in self._rolling if turn[0] != key or turn in holding}
        self._taken_over &= self._rolling

    def next(self, key: StreamKey) -> list[StreamKey]:
        """Finish a reconcile: give up turns, and return the MarketStreams to reconcile next, one for each free turn.

        Calling all that wait, of whom most would have to wait again, would cost the square of their number.
        """
        self._called.discard(key)
        self.release(key)
        free = self._most - len(self._rolling) - len(self._called)
        called = list(self._waiting)[: max(0, free)]
        for each in called:
            del self._waiting[each]
        self._called.update(called)
        return called
