"""The pairs of one stream as they are and as they should be: which may change now, and which may go.

A change of the spec concerns all pairs of a stream. As few of them roll at a time as after a change of the operator's
settings, and a pair that gets stuck keeps its turn. The turns follow from the Deployments alone, so a change of the
leader loses none.
"""

from collections.abc import Iterable, Sequence

from marketstream_operator.cluster.projections import Deployment
from marketstream_operator.names import ROLES
from marketstream_operator.plan.desired import Pair


class Layout:
    """The planned `pairs` of a stream, and its `live` Deployments. At most `most` pairs change at a time."""

    def __init__(self, pairs: Sequence[Pair], live: Iterable[Deployment], most: int) -> None:
        self._most = most
        self._live: dict[str, list[Deployment]] = {}
        for child in live:
            self._live.setdefault(child.pair, []).append(child)
        self._pair_of = {symbol: pair.id for pair in pairs for symbol in pair.symbols}
        self._ready: dict[tuple[str, str], set[str]] = {}
        """The pairs that run each symbol and are ready, by role and symbol."""
        for child in (each for of in self._live.values() for each in of if each.is_ready):
            for symbol in child.symbols:
                self._ready.setdefault((child.role, symbol), set()).add(child.pair)
        self._changing = {pair.id for pair in pairs if self._is_changing(pair)}

    def is_well(self, pair: Pair) -> bool:
        """Return True if a change may cost something: the pair is ready, and no earlier roll of it is stuck."""
        return all(child.is_ready and not child.is_stuck for child in self._live.get(pair.id, ()))

    def may_change(self, pair: Pair) -> bool:
        """Return True if a pair may roll now, or be created for symbols that other pairs of the stream run."""
        if pair.id in self._changing:
            return True
        if len(self._changing) >= self._most:
            return False
        self._changing.add(pair.id)
        return True

    def is_moving(self, pair: Pair) -> bool:
        """Return True if ready pairs of the stream run all symbols of a pair, which is to replace them."""
        return all(self._ready.get((role, symbol), set()) - {pair.id} for symbol in pair.symbols for role in ROLES)

    def is_replaced(self, name: str) -> bool:
        """Return True if each symbol of a pair is no longer wanted, or has a ready pair elsewhere."""
        symbols = {symbol for child in self._live.get(name, ()) for symbol in child.symbols}
        return all(self._runs(self._pair_of[symbol], symbol) for symbol in symbols if symbol in self._pair_of)

    def _runs(self, name: str, symbol: str) -> bool:
        """Return True if the producer and the processor of a pair are ready, with a symbol in their newest version."""
        of = [child for child in self._live.get(name, ()) if symbol in child.symbols]
        return {child.role for child in of if child.is_settled and child.is_ready} == set(ROLES)

    def _is_changing(self, pair: Pair) -> bool:
        of = self._live.get(pair.id, ())
        is_new = bool(of) and not all(child.is_ready for child in of) and self.is_moving(pair)
        return is_new or any(child.is_rolling and child.is_ready for child in of)
