"""What backfill needs to know of a symbol: the contract that the processor's owned symbols fulfil."""

from itertools import pairwise
from typing import NamedTuple, Protocol

from marketstream.market.ledger import Ledger


class Account(Protocol):
    """One symbol that this process owns."""

    backfilling: bool
    """Whether its trades are being fetched now; written here, for those who watch."""

    @property
    def symbol(self) -> str:
        """Its name at the exchange."""

    @property
    def topic(self) -> str:
        """The topic that holds its trades; what is fetched goes there, too."""

    @property
    def ledger(self) -> Ledger:
        """The account of its trade ids."""

    @property
    def is_read_up(self) -> bool:
        """Whether all that its topic held when it was claimed has been read: what seems missing before may only be
        unread."""

    @property
    def is_first_start(self) -> bool:
        """Whether nothing of the symbol was stored before it was claimed."""

    @property
    def quiet_for_s(self) -> float:
        """Seconds for which the exchange's feed has brought nothing of the symbol, by the local clock."""


class Hole(NamedTuple):
    """The ids `first` to `last` are missing; the trades around them happened at `after_us` and `before_us`."""

    first: int
    last: int
    after_us: int
    before_us: int


def holes_of(ledger: Ledger) -> list[Hole]:
    """The holes of a symbol that may still be filled, newest first."""
    fillable = set(ledger.holes())
    return [
        Hole(before.high + 1, after.low - 1, before.high_time, after.low_time)
        for before, after in reversed(list(pairwise(ledger.counted)))
        if (before.high + 1, after.low - 1) in fillable
    ]
