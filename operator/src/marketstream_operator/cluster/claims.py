"""Claims of MarketStreams on symbols: of several claimants of a symbol, the oldest owns it and may run it."""

from collections.abc import Iterable
from typing import NamedTuple

from marketstream_operator.names import StreamKey

Symbol = str
"""The identity of a symbol of an exchange: see names.symbol_identity."""


class Claimant(NamedTuple):
    """A MarketStream with a claim. The smallest claimant is the owner: the oldest, in a tie the one of lower uid."""

    created: str
    """The creationTimestamp. Kubernetes writes it in UTC, to the second, so that these texts sort as times do."""
    uid: str
    key: StreamKey


class Claims:
    """The claimed symbols. A symbol may have several claimants, but only one owner."""

    def __init__(self) -> None:
        self._claimants: dict[Symbol, set[Claimant]] = {}
        self._claims: dict[StreamKey, tuple[Claimant, frozenset[Symbol]]] = {}

    def claim(self, claimant: Claimant, symbols: Iterable[Symbol]) -> set[StreamKey]:
        """Replace the claims of `claimant` by `symbols`. Return the other MarketStreams that the change affects."""
        wanted = frozenset(symbols)
        before = self._claims.get(claimant.key)
        if before == (claimant, wanted):
            return set()
        affected = self.drop(claimant.key)
        for symbol in wanted:
            others = self._claimants.setdefault(symbol, set())
            affected |= {other.key for other in others}
            others.add(claimant)
        self._claims[claimant.key] = (claimant, wanted)
        return affected

    def drop(self, key: StreamKey) -> set[StreamKey]:
        """Drop all claims of a MarketStream. Return the other MarketStreams that the change affects."""
        affected: set[StreamKey] = set()
        if key not in self._claims:
            return affected
        claimant, symbols = self._claims.pop(key)
        for symbol in symbols:
            others = self._claimants[symbol]
            others.discard(claimant)
            affected |= {other.key for other in others}
            if not others:
                del self._claimants[symbol]
        return affected

    def of(self, key: StreamKey) -> frozenset[Symbol]:
        """Return the symbols that a MarketStream claims."""
        return self._claims[key][1] if key in self._claims else frozenset()

    def owner(self, symbol: Symbol) -> StreamKey | None:
        """Return the MarketStream that may run the symbol; None when no MarketStream claims it."""
        claimants = self._claimants.get(symbol)
        return min(claimants).key if claimants else None
