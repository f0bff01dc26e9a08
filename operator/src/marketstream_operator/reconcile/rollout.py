"""Turns for pairs to roll after a change of the operator's own settings, which affects every pair.

Only a few pairs roll at a time. A pair that gets stuck keeps its turn, so an image that does not start spreads no
further.
"""

from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import Deployment
from marketstream_operator.kinds import DEPLOYMENT
from marketstream_operator.names import StreamKey


class Rollout:
    """The pairs that roll because of the operator's settings, and the MarketStreams that wait for a turn."""

    def __init__(self, observed: Observed, most: int) -> None:
        self._observed = observed
        self._most = most
        self._rolling: set[tuple[StreamKey, str]] = set()
        self._taken_over: set[tuple[StreamKey, str]] = set()
        """Rolling pairs that an earlier leader has begun to roll, perhaps for another reason.

        Once stuck, they must not block others.
        """
        self._waiting: set[StreamKey] = set()

    def begin(self) -> None:
        """Take over from an earlier leader: count pairs that were changed and have not settled as rolling.

        Stuck pairs do not count.
        """
        live = [child for child in self._observed.all(DEPLOYMENT) if isinstance(child, Deployment)]
        stuck = {(child.key, child.pair) for child in live if child.is_stuck}
        self._taken_over = {
            (child.key, child.pair)
            for child in live
            if child.generation > 1 and child.is_ready and not child.is_settled
        } - stuck
        self._rolling = set(self._taken_over)

    def may_roll(self, key: StreamKey, pair: str) -> bool:
        """Return True if this pair may roll now. If not, `settle` returns its MarketStream once there is room."""
        if (key, pair) in self._rolling:
            return True
        if len(self._rolling) >= self._most:
            self._waiting.add(key)
            return False
        self._rolling.add((key, pair))
        return True

    def settle(self, key: StreamKey) -> set[StreamKey]:
        """Give up the turns of pairs of a MarketStream that have settled.

        Returns the MarketStreams that wait, if there is room for another pair to roll.
        """
        live = self._observed.deployments(key)
        unsettled = {(key, child.pair) for child in live if not child.is_settled}
        stuck = {(key, child.pair) for child in live if child.is_stuck}
        holding = unsettled - (stuck & self._taken_over)
        self._rolling = {turn for turn in self._rolling if turn[0] != key or turn in holding}
        self._taken_over &= self._rolling
        if len(self._rolling) >= self._most:
            return set()
        waiting, self._waiting = self._waiting, set()
        return waiting
