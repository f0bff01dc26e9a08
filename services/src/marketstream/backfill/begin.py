"""The beginning of a symbol that was never seen before."""

from typing import Final

from marketstream.backfill.account import Account
from marketstream.backfill.pages import Pages
from marketstream.exchanges.base import Exchange
from marketstream.market.trade import Trade
from marketstream.market.window import WINDOW_US, window_of

PAGE: Final = 1_000
"""Trades asked for at a time on the way back."""

MOST_PAGES: Final = 50
"""Most such steps: beyond it the first window stays unconfirmed."""


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
