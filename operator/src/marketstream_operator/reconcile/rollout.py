"""When the operator's own settings change, every pair is due for a roll: only a few roll at a time.

A pair that gets stuck on its turn keeps it, so that an image that does not start comes no further.
"""

from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import Deployment
from marketstream_operator.kinds import DEPLOYMENT
from marketstream_operator.names import StreamKey


class Rollout:
    """The pairs that roll for the operator's sake, and the MarketStreams that wait for their turn."""

    def __init__(self, observed: Observed, most: int) -> None:
        self._observed = observed
        self._most = most
        self._rolling: set[tuple[StreamKey, str]] = set()
        self._taken_over: set[tuple[StreamKey, str]] = set()
        """Those of them that rolled before: perhaps not for the operator's sake, so they may not hold up others."""
        self._waiting: set[StreamKey] = set()

    def begin(self) -> None:
        """Takes over from an earlier leader: what was changed and is not settled may be rolling for this reason. What
        is stuck does not roll."""
        live = [child for child in self._observed.all(DEPLOYMENT) if isinstance(child, Deployment)]
        stuck = {(child.key, child.pair) for child in live if child.is_stuck}
        self._taken_over = {
            (child.key, child.pair)
            for child in live
            if child.generation > 1 and child.is_ready and not child.is_settled
        } - stuck
        self._rolling = set(self._taken_over)

    def may_roll(self, key: StreamKey, pair: str) -> bool:
        """Whether this pair may roll now. If not, its MarketStream is among those that `settle` returns later."""
        if (key, pair) in self._rolling:
            return True
        if len(self._rolling) >= self._most:
            self._waiting.add(key)
            return False
        self._rolling.add((key, pair))
        return True

    def settle(self, key: StreamKey) -> set[StreamKey]:
        """Looks which pairs of this MarketStream have settled. Returns who waits, when there is room now."""
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
