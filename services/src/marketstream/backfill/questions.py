"""The questions to the exchange about its newest trades, by which quiet symbols are proven quiet."""

import time
from collections.abc import Awaitable, Sequence
from typing import Final

from marketstream.backfill import metrics
from marketstream.backfill.account import Account, marked
from marketstream.backfill.attempts import MOST_REFUSED_S, Tried
from marketstream.backfill.earlier import Earlier
from marketstream.backfill.pages import Pages
from marketstream.codec import Quiet, encode
from marketstream.exchanges.base import Exchange, Newest
from marketstream.exchanges.errors import PermanentError, UnknownSymbolError
from marketstream.market.counted import Run
from marketstream.telemetry import logger

log = logger(__name__)

QUIET_MARGIN_US: Final = 10_000_000
"""µs by which the exchange's answer may be older than its stated time.

The history may lag, and the clock may be ahead. A window that is proven too early stays proven, so this is generous.
"""


class Questions:
    """The questions that are due. A symbol is quiet after `quiet_s` seconds without a trade."""

    def __init__(self, exchange: Exchange, pages: Pages, earlier: Earlier, quiet_s: float) -> None:
        self._exchange = exchange
        self._pages = pages
        self._earlier = earlier
        self._quiet_s = quiet_s
        self._asked_at: dict[Account, float] = {}
        self._refused: dict[Account, Tried] = {}

    def next_due(self, accounts: Sequence[Account]) -> Awaitable[None] | None:
        """Return the next query about a symbol that has been quiet, and not queried, for `quiet_s` seconds."""
        now = time.monotonic()
        self._asked_at = {account: at for account, at in self._asked_at.items() if account in accounts}
        self._refused = {account: tried for account, tried in self._refused.items() if account in accounts}
        for account in accounts:
            is_quiet = account.quiet_for_s >= self._quiet_s
            if not is_quiet:
                self._refused.pop(account, None)  # the exchange has its trades, so it may well answer again
            elif self._may_ask(account) and now >= self._asked_at.get(account, 0.0) + self._quiet_s:
                self._asked_at[account] = now
                return self._ask(account)
        return None

    def _may_ask(self, account: Account) -> bool:
        refused = self._refused.get(account)
        return self._pages.accepts(account) and (refused is None or refused.is_due())

    async def _ask(self, account: Account) -> None:
        """Ask about a symbol. If the exchange refuses to answer, ask again at growing intervals."""
        try:
            await self._ask_newest(account)
        except UnknownSymbolError as error:
            self._postpone(account)
            if not account.unlisted:
                log.warning("symbol not listed by the exchange", symbol=account.symbol, error=str(error))
            account.unlisted = True
        except PermanentError as error:
            retry_s = self._postpone(account)
            metrics.FAILURES.labels(self._exchange.name).inc()
            log.warning(
                "request for the newest trade refused, will retry", symbol=account.symbol, error=str(error),
                retry_s=round(retry_s, 1),
            )  # fmt: skip
        else:
            self._refused.pop(account, None)

    def _postpone(self, account: Account) -> float:
        return self._refused.setdefault(account, Tried()).postpone(MOST_REFUSED_S)

    async def _ask_newest(self, account: Account) -> None:
        """Ask the exchange whether a quiet symbol really is quiet.

        If it is, publish the proof of its windows. If it is not, its feed has died silently: fetch the trades since.
        """
        newest = await self._exchange.newest(account.symbol)
        account.unlisted = False
        highest = account.ledger.newest_run()
        if newest is None or highest is None:
            return
        self._earlier.hint(account, highest, newest.id)
        if newest.id == highest.high:
            # A proof is no later than its receipt, even if the local clock is behind that of the exchange.
            received_us = max(time.time_ns() // 1000, newest.at_us)
            record = Quiet(self._exchange.name, account.symbol, received_us, newest.id, newest.at_us - QUIET_MARGIN_US)
            await self._pages.send(account, encode(record))
        elif newest.id > highest.high:
            with marked(account):
                await self._make_up(account, highest, newest)

    async def _make_up(self, account: Account, after: Run, newest: Newest) -> None:
        """Fetch the trades after a run up to the exchange's newest one, a page at a time."""
        first, after_us = after.high + 1, after.high_time
        # The newest trade may have happened a moment after the request, and the exchange's clock may be behind. A bound
        # that is too late costs nothing, because the ids limit the page. One before the begin would be refused.
        before_us = max(after_us, newest.at_us + QUIET_MARGIN_US)
        while first <= newest.id:
            page = await self._exchange.history(
                account.symbol, first, newest.id, after_us=after_us, before_us=before_us
            )
            if page is None or await self._pages.publish(account, page, before_us=newest.at_us) is None:
                return
            last = max(page)
            # An entry may stand for several trades. Its time may be wrong and serves only as a hint.
            first, after_us = last.id + last.n, min(max(after_us, last.time), before_us)
