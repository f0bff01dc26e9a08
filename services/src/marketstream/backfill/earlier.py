"""Ids of an earlier generation, where the history still has the trades of before the ids began again."""

from typing import Final

from marketstream.backfill.account import Account, Hole
from marketstream.backfill.pages import Pages
from marketstream.exchanges.base import Exchange
from marketstream.market.counted import Run
from marketstream.market.trade import Trades
from marketstream.telemetry import logger

log = logger(__name__)


class Earlier:
    """Finds the ids of earlier generations in the answers of the exchange. Such ids are never fetched."""

    def __init__(self, exchange: Exchange, pages: Pages) -> None:
        self._exchange: Final = exchange
        self._pages: Final = pages
        self._hinted: set[str] = set()

    def is_in(self, account: Account, page: Trades) -> bool:
        """Return True if the page has trades from before the account's generation."""
        return min(page.times) < account.ledger.fetched_since_us

    async def give_up(self, account: Account, hole: Hole, page: Trades) -> bool:
        """Give up the ids of a hole that belong to an earlier generation, as its first page `page` shows.

        Fetch the page after them as well, which divides the hole. Return False if the history lacks it. Raise
        ExchangeError.
        """
        last = min(await self._last_earlier(account, hole, page), hole.last)
        if hole.generation != account.ledger.generation:
            return True  # the ids have begun again meanwhile
        account.ledger.give_up(hole.first, last)
        log.warning("ids of an earlier generation given up", symbol=account.symbol, first_id=hole.first, last_id=last)
        if last == hole.last:
            return True
        after = await self._page(account, hole, last + 1)
        if after is None:
            return False
        return await self._pages.publish(account, after, hole.generation, before_us=hole.before_us) is not None

    async def _last_earlier(self, account: Account, hole: Hole, page: Trades) -> int:
        """Return the last id of the hole that belongs to an earlier generation.

        All ids above it are newer, so bisection finds it. The first question is about the end of the hole, because a
        hole that begins with such ids mostly consists of them.
        """
        since_us = account.ledger.fetched_since_us
        last, end = max(trade.id + trade.n - 1 for trade in page if trade.time < since_us), hole.last + 1
        middle = hole.last
        while last + 1 < end:
            found = await self._page(account, hole, middle)
            earlier = [trade.id + trade.n - 1 for trade in found or () if trade.time < since_us]
            if earlier:
                last = max(earlier)
            else:
                end = middle
            middle = (last + end) // 2
        return last

    async def _page(self, account: Account, hole: Hole, first_id: int) -> Trades | None:
        return await self._exchange.history(
            account.symbol, first_id, hole.last, after_us=hole.after_us, before_us=hole.before_us
        )

    def hint(self, account: Account, newest: Run, newest_id: int) -> None:
        """Log, once for each symbol, that the exchange's newest id lies below the newest one counted.

        The history may lag, so it proves nothing. But if ids have begun again, a trade with a low id will show it.
        """
        if newest_id < newest.high and account.topic not in self._hinted:
            self._hinted.add(account.topic)
            log.warning(
                "newest id of the exchange found below the counted ones, ids may have begun again",
                symbol=account.symbol, newest_id=newest_id, counted_id=newest.high,
            )  # fmt: skip
