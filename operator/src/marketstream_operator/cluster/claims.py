"""Who may run a symbol that several MarketStreams ask for: the oldest of them."""

from collections.abc import Iterable
from typing import NamedTuple

from marketstream_operator.names import StreamKey

Symbol = str
"""What tells a symbol of an exchange from all others: see names.symbol_identity."""


class Claimant(NamedTuple):
    """A MarketStream that asks for a symbol. The least one owns it: the oldest, of two as old that of lesser uid."""

    created: str
    """As Kubernetes writes it, in UTC to the second, so that texts sort as times do."""
    uid: str
    key: StreamKey


class Claims:
    """The symbols that MarketStreams ask for. Of each there may be many claimants, and one owner."""

    def __init__(self) -> None:
        self._claimants: dict[Symbol, set[Claimant]] = {}
        self._claims: dict[StreamKey, tuple[Claimant, frozenset[Symbol]]] = {}

    def claim(self, claimant: Claimant, symbols: Iterable[Symbol]) -> set[StreamKey]:
        """`claimant` asks for these from now on, and for no others. Returns who else is concerned by the change."""
        wanted = frozenset(symbols)
        before = self._claims.get(claimant.key)
        if before == (claimant, wanted):
            return set()
        concerned = self.drop(claimant.key)
        for symbol in wanted:
            others = self._claimants.setdefault(symbol, set())
            concerned |= {other.key for other in others}
            others.add(claimant)
        self._claims[claimant.key] = (claimant, wanted)
        return concerned

    def drop(self, key: StreamKey) -> set[StreamKey]:
        """That MarketStream asks for nothing any more. Returns who else is concerned."""
        concerned: set[StreamKey] = set()
        if key not in self._claims:
            return concerned
        claimant, symbols = self._claims.pop(key)
        for symbol in symbols:
            others = self._claimants[symbol]
            others.discard(claimant)
            concerned |= {other.key for other in others}
            if not others:
                del self._claimants[symbol]
        return concerned

    def of(self, key: StreamKey) -> frozenset[Symbol]:
        """What that MarketStream asks for."""
        return self._claims[key][1] if key in self._claims else frozenset()

    def owner(self, symbol: Symbol) -> StreamKey | None:
        """Who may run the symbol; None when nobody asks for it."""
        claimants = self._claimants.get(symbol)
        return min(claimants).key if claimants else None
