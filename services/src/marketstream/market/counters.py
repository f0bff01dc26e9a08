"""Counts of trades by their outcome in an aggregator."""


class Counters:
    """Numbers of trades by outcome since the aggregator was created, for metrics."""

    __slots__ = ("counted", "duplicate", "jumped", "late", "partial", "settled", "unordered")

    def __init__(self) -> None:
        self.counted = 0
        """Counted into a candle."""
        self.duplicate = 0
        """Dropped trades, which were counted before."""
        self.jumped = 0
        """Counted trades after a jump of ids, which the exchange had to confirm."""
        self.late = 0
        """Counted trades in a window that was already closed."""
        self.partial = 0
        """Refused trades: some ids of their aggregate were counted before."""
        self.settled = 0
        """Refused trades with an id that is no longer accounted for, or from before the generation."""
        self.unordered = 0
        """Counted trades with a time that contradicts the order of the ids."""

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return {name: getattr(self, name) for name in self.__slots__}
