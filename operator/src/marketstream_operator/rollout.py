"""When the operator's own settings change, every pair is due for a roll: only a few roll at a time."""

from marketstream_operator.api import DEPLOYMENT
from marketstream_operator.names import Key
from marketstream_operator.observed import Deployment, Observed


class Rollout:
    """The pairs that roll for the operator's sake, and the MarketStreams that wait for their turn."""

    def __init__(self, observed: Observed, most: int) -> None:
        self._observed = observed
        self._most = most
        self._rolling: set[tuple[Key, str]] = set()
        self._waiting: set[Key] = set()

    def begin(self) -> None:
        """Takes over from an earlier leader: what was changed and is not settled may be rolling for this reason."""
        self._rolling = {
            (child.key, child.pair)
            for child in self._observed.all(DEPLOYMENT)
            if isinstance(child, Deployment) and child.generation > 1 and child.is_ready and not child.is_settled
        }

    def may_roll(self, key: Key, pair: str) -> bool:
        """Whether this pair may roll now. If not, its MarketStream is among those that `settle` returns later."""
        if (key, pair) in self._rolling:
            return True
        if len(self._rolling) >= self._most:
            self._waiting.add(key)
            return False
        self._rolling.add((key, pair))
        return True

    def settle(self, key: Key) -> set[Key]:
        """Looks which pairs of this MarketStream have settled. Returns who waits, when there is room now."""
        unsettled = {child.pair for child in self._observed.deployments(key) if not child.is_settled}
        self._rolling -= {(of, pair) for of, pair in self._rolling if of == key and pair not in unsettled}
        if len(self._rolling) >= self._most:
            return set()
        waiting, self._waiting = self._waiting, set()
        return waiting
