"""What became of the trades that were given to an aggregator."""


class Counters:
    """What happened to trades, for metrics: each a number of trades since the aggregator was made."""

    __slots__ = ("counted", "duplicate", "jumped", "late", "partial", "settled", "unordered")

    def __init__(self) -> None:
        self.counted = 0
        """counted into a candle"""
        self.duplicate = 0
        """dropped: counted before"""
        self.jumped = 0
        """of those counted, after a jump of ids that began a new segment"""
        self.late = 0
        """of those counted, into a window that was closed"""
        self.partial = 0
        """refused: an aggregate some of whose ids were counted before"""
        self.settled = 0
        """refused: below what is still accounted for"""
        self.unordered = 0
        """of those counted, with a time that does not follow the order of the ids"""

    def as_dict(self) -> dict[str, int]:
        """The numbers by name."""
        return {name: getattr(self, name) for name in self.__slots__}
