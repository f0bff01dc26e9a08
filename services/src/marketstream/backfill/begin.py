"""The beginning of a symbol that was never seen before."""

from collections.abc import Sequence
from typing import Final

from marketstream.backfill.account import Account
from marketstream.backfill.attempts import Tried
from marketstream.backfill.pages import Pages
from marketstream.exchanges.base import Exchange
from marketstream.market.trade import Trade
from marketstream.market.window import WINDOW_US, window_of

PAGE: Final = 1_000
"""Trades asked for at a time on the way back."""

MOST_PAGES: Final = 50
"""Most such steps: beyond it the first window stays unconfirmed."""


class Beginnings:
    """Which beginnings are still to be reached, and what was tried of each without success."""

    def __init__(self) -> None:
        self._over: set[Account] = set()
        self._tried: dict[Account, Tried] = {}

    def next_due(self, accounts: Sequence[Account]) -> Account | None:
        """Of all symbols whose beginning may be tried now the one that has waited longest: one that fails keeps no
        other waiting."""
        self._over &= set(accounts)
        starting = [account for account in accounts if account.is_first_start and account not in self._over]
        self._tried = {account: self._tried.get(account, Tried()) for account in starting}
        due = [account for account, tried in self._tried.items() if tried.is_due()]
        return min(due, key=lambda account: self._tried[account].not_before, default=None)

    def fail(self, account: Account) -> None:
        """The exchange did not answer: the beginning is tried again later."""
        if account in self._tried:  # it may have gone to another owner meanwhile
            self._tried[account].postpone()

    def end(self, account: Account) -> None:
        """The beginning was reached, or never will be."""
        self._over.add(account)


async def reach_back(exchange: Exchange, pages: Pages, account: Account) -> bool:
    """Goes back to the beginning of the window in which the first trade was heard. Whether that window's beginning is
    proven now: the trade before it is not counted, only its time is noted.

    Raises ExchangeError.
    """
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
                await pages.publish(account, page, since_us=window_us)
        if before is not None:
            return account.ledger.confirm_begin(before.id + before.n, before.time)
    return False
