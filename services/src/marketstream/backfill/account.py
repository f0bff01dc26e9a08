"""The backfill's view of a symbol: a contract that the processor's owned symbols fulfil."""

import contextlib
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple, Protocol

from marketstream.market.ledger import Ledger


class Account(Protocol):
    """A symbol that this process owns."""

    backfilling: bool
    """True while trades of the symbol are being fetched. The backfill sets the flag, for the live state."""

    unlisted: bool
    """True if the exchange answered that it does not list the symbol, until the next trade. It is for the live state.

    The backfill sets it with each answer, and the symbol itself resets it with each trade.
    """

    untraded_at_us: int | None
    """The local time (Unix µs) at which the exchange last answered that the symbol was never traded, or None.

    The backfill sets it, for the live state.
    """

    @property
    def symbol(self) -> str:
        """The symbol's name at the exchange."""

    @property
    def topic(self) -> str:
        """The topic of the symbol's trades, into which fetched trades are published as well."""

    @property
    def ledger(self) -> Ledger:
        """The ledger of the symbol's trade ids."""

    @property
    def is_read_up(self) -> bool:
        """True if all records that the topic held at the claim have been applied.

        Before that, trades that seem to be missing may only be unread.
        """

    @property
    def quiet_for_s(self) -> float:
        """The seconds since the last trade of the symbol was applied, by the local clock."""


class Hole(NamedTuple):
    """The missing ids `first` to `last`; the trades around them happened at `after_us` and `before_us` (Unix µs).

    Once the ledger has another `generation`, the ids mean other trades.
    """

    first: int
    last: int
    after_us: int
    before_us: int
    generation: int = 0


def holes_of(ledger: Ledger) -> list[Hole]:
    """Return the holes of a symbol that may still be filled, newest first."""
    fillable = set(ledger.holes())
    return [
        Hole(before.high + 1, after.low - 1, before.high_time, after.low_time, ledger.generation)
        for before, after in reversed(list(pairwise(ledger.counted)))
        if (before.high + 1, after.low - 1) in fillable
    ]


@contextlib.contextmanager
def marked(account: Account) -> Iterator[None]:
    """Show the symbol as backfilling during the block."""
    account.backfilling = True
    try:
        yield
    finally:
        account.backfilling = False
