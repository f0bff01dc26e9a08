"""Reaching the beginning of a new symbol, that is, one whose beginning is not known."""

from collections.abc import Callable, Sequence
from typing import Final

from marketstream.backfill.account import Account
from marketstream.backfill.attempts import MOST_REFUSED_S, Tried
from marketstream.backfill.pages import Pages
from marketstream.exchanges.base import Exchange
from marketstream.market.trade import Trade
from marketstream.market.window import WINDOW_US, window_of

PAGE: Final = 1_000
"""Number of trades requested in one step back."""

MOST_PAGES: Final = 50
"""Maximum number of steps back. Beyond it the first window stays unconfirmed."""


class Beginnings:
    """The beginnings still to be reached, and the failed attempts at each."""

    def __init__(self) -> None:
        self._tried: dict[Account, Tried] = {}

    def next_due(self, accounts: Sequence[Account], accepts: Callable[[Account], bool]) -> Account | None:
        """Return the symbol whose beginning to try next, or None if none is due and accepted.

        It is the one that has been due longest, so a beginning that fails does not delay the others.
        """
        starting = [account for account in accounts if not account.ledger.begin_known]
        self._tried = {account: self._tried.get(account, Tried()) for account in starting}
        due = [account for account, tried in self._tried.items() if tried.is_due() and accepts(account)]
        return min(due, key=lambda account: self._tried[account].not_before, default=None)

    def fail(self, account: Account) -> None:
        """Postpone a beginning for which the exchange has failed."""
        if account in self._tried:  # otherwise it has another owner by now
            self._tried[account].postpone()

    def refuse(self, account: Account) -> float:
        """Postpone a beginning whose request was refused. Return the seconds until the next attempt."""
        return self._tried[account].postpone(MOST_REFUSED_S) if account in self._tried else MOST_REFUSED_S

    def end(self, account: Account) -> None:
        """Stop trying to reach the beginning: it was reached, or never will be."""
        account.ledger.begin_known = True


async def reach_back(exchange: Exchange, pages: Pages, account: Account) -> bool:
    """Fetch the trades back to the start of the window that holds the symbol's first trade.

    Return True if that start is now proven. The last trade before that start is not counted: it only
    contributes its time. Raise ExchangeError.
    """
    generation = account.ledger.generation
    window_us = window_of(account.ledger.counted.runs[0].low_time) * WINDOW_US
    for _ in range(MOST_PAGES):
        lowest = account.ledger.counted.runs[0]
        if lowest.low == 0:
            return False
        before: Trade | None = None
        first_id = max(0, lowest.low - PAGE)
        while first_id < lowest.low:
            page = await exchange.history(account.symbol, first_id, lowest.low - 1, before_us=lowest.low_time)
            if page is None:
                return False
            trades = list(page)
            first_id = trades[-1].id + trades[-1].n
            earlier = [trade for trade in trades if trade.time < window_us]
            before = earlier[-1] if earlier else before
            if len(earlier) < len(trades):
                await pages.publish(account, page, generation, since_us=window_us)
        if before is not None:
            return account.ledger.confirm_begin(before.id + before.n, before.time)
    return False
