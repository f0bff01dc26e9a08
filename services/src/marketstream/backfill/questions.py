"""The questions to the exchange about its newest trades.

The answers prove quiet symbols quiet, and decide if the ids below a jump are missing or the id after it is a stray one.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
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

MOST_MADE_UP: Final = 50_000
"""Maximum number of trades that are fetched at once after a feed has died silently.

Of more, only the newest is fetched. The others are a hole then, which takes turns with the other holes.
"""

JUMPS_S: Final = 5.0
"""Minimum seconds between two questions about jumps of ids of one symbol, whose feed may bring many stray ids."""


class Questions:
    """The questions that are due. A symbol is quiet after `quiet_s` seconds without a trade.

    `on_verdict` is called when an answer has changed a verdict.
    """

    def __init__(
        self, exchange: Exchange, pages: Pages, earlier: Earlier, quiet_s: float, on_verdict: Callable[[], None]
    ) -> None:
        self._exchange = exchange
        self._pages = pages
        self._earlier = earlier
        self._quiet_s = quiet_s
        self._on_verdict = on_verdict
        self._asked_at: dict[Account, float] = {}
        self._refused: dict[Account, Tried] = {}
        # The questions about each id after a jump that the answers did not confirm.
        self._jumps: dict[tuple[Account, int], Tried] = {}

    def next_due(self, accounts: Sequence[Account]) -> Awaitable[None] | None:
        """Return the next query about a symbol that has been quiet, and not queried, for `quiet_s` seconds.

        A symbol with a jump of ids is queried at once, and again at growing intervals while the answers do not decide.
        """
        now = time.monotonic()
        jumps = [(account, after_id) for account in accounts for after_id in account.ledger.undecided()]
        self._jumps = {jump: self._jumps.get(jump, Tried()) for jump in jumps}
        owned = set(accounts)
        self._asked_at = {account: at for account, at in self._asked_at.items() if account in owned}
        self._refused = {account: tried for account, tried in self._refused.items() if account in owned}
        for account in accounts:
            is_quiet = account.quiet_for_s >= self._quiet_s
            if not is_quiet:
                self._refused.pop(account, None)  # the exchange has its trades, so it may well answer again
            elif self._may_ask(account) and now >= self._asked_at.get(account, 0.0) + self._quiet_s:
                self._asked_at[account] = now
                return self._ask(account)
        for (account, _), tried in self._jumps.items():
            if tried.is_due() and self._may_ask(account) and now >= self._asked_at.get(account, -JUMPS_S) + JUMPS_S:
                self._asked_at[account] = now
                return self._ask(account)
        return None

    def _may_ask(self, account: Account) -> bool:
        refused = self._refused.get(account)
        return self._pages.accepts(account) and (refused is None or refused.is_due())

    async def _ask(self, account: Account) -> None:
        """Ask about a symbol. If the exchange refuses to answer, ask again at growing intervals."""
        for (asked, _), tried in self._jumps.items():
            if asked is account and tried.is_due():
                tried.postpone(MOST_REFUSED_S)
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
        generation = account.ledger.generation
        newest = await self._exchange.newest(account.symbol)
        account.unlisted = False
        if generation != account.ledger.generation:
            return  # the ids have begun again meanwhile
        if newest is not None and account.ledger.reach(newest.id):
            log.warning("jump of ids confirmed by the exchange", symbol=account.symbol, newest_id=newest.id)
            self._on_verdict()
        if account.quiet_for_s < self._quiet_s:
            return
        if newest is None:
            account.untraded_at_us = time.time_ns() // 1000
            return
        highest = account.ledger.newest_run()
        if highest is not None:
            self._earlier.hint(account, highest, newest.id)
        else:  # trades may arrive while this one is fetched, so a lower id hints at nothing
            highest = await self._fetch_newest(account, newest)
        if highest is None:
            return  # the history has not come to its newest trade yet
        if newest.id == highest.high:
            # A proof is no later than its receipt, even if the local clock is behind that of the exchange.
            received_us = max(time.time_ns() // 1000, newest.at_us)
            record = Quiet(self._exchange.name, account.symbol, received_us, newest.id, newest.at_us - QUIET_MARGIN_US)
            await self._pages.send(account, encode(record))
        elif newest.id > highest.high:
            with marked(account):
                await self._make_up(account, highest, newest)

    async def _fetch_newest(self, account: Account, newest: Newest) -> Run | None:
        """Fetch the newest trade of a symbol that was quiet from the beginning. Return its run, or None."""
        generation = account.ledger.generation
        with marked(account):
            page = await self._exchange.history(account.symbol, newest.id, newest.id)
            if page is not None:
                await self._pages.publish(account, page, generation, before_us=newest.at_us)
        return account.ledger.newest_run()

    async def _make_up(self, account: Account, after: Run, newest: Newest) -> None:
        """Fetch the trades after a run up to the exchange's newest one, a page at a time."""
        generation = account.ledger.generation
        first, after_us = after.high + 1, after.high_time
        if newest.id - after.high > MOST_MADE_UP:
            first = newest.id
        # The newest trade may have happened a moment after the request, and the exchange's clock may be behind. A bound
        # that is too late costs nothing, because the ids limit the page. One before the begin would be refused.
        before_us = max(after_us, newest.at_us + QUIET_MARGIN_US)
        while first <= newest.id:
            page = await self._exchange.history(
                account.symbol, first, newest.id, after_us=after_us, before_us=before_us
            )
            if page is None:
                return
            if await self._pages.publish(account, page, generation, before_us=newest.at_us) is None:
                return
            last = max(page)
            # An entry may stand for several trades. Its time may be wrong and serves only as a hint.
            first, after_us = last.id + last.n, min(max(after_us, last.time), before_us)
