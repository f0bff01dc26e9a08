"""The backfill: two loops that fill the holes of the owned symbols.

One loop fetches trades, a page at a time: those of the newest hole of all symbols that is due, or those back to the
beginning of a new symbol. The other loop asks the exchange whether quiet symbols really are quiet. Trades and proofs go
into the symbol's topic and take effect when the processor reads them from there, so the log holds all of them.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from marketstream.backfill import metrics
from marketstream.backfill.account import Account, Hole, marked
from marketstream.backfill.attempts import Attempts
from marketstream.backfill.begin import Beginnings, reach_back
from marketstream.backfill.earlier import Earlier
from marketstream.backfill.pages import NotCountedError, Pages
from marketstream.backfill.questions import Questions
from marketstream.backoff import delays
from marketstream.exchanges.base import Exchange
from marketstream.exchanges.errors import ExchangeError, PermanentError
from marketstream.kafka.publisher import Publisher
from marketstream.market.trade import Trades
from marketstream.telemetry import logger

log = logger(__name__)

CHECK_S: Final = 0.2
"""Seconds between checks for work."""


class Backfill:
    """Backfills the accounts that `accounts` returns at each check.

    `on_verdict` is called when a verdict has changed although no record was read. After `quiet_s` seconds without a
    trade of a symbol, the exchange is asked whether there was none.
    """

    def __init__(
        self,
        exchange: Exchange,
        publisher: Publisher,
        accounts: Callable[[], Iterable[Account]],
        on_verdict: Callable[[], None],
        quiet_s: float,
    ) -> None:
        self._exchange = exchange
        self._pages = Pages(exchange.name, publisher)
        self._accounts = accounts
        self._on_verdict = on_verdict
        self._attempts = Attempts()
        self._beginnings = Beginnings()
        self._earlier = Earlier(exchange, self._pages)
        self._questions = Questions(exchange, self._pages, self._earlier, quiet_s, on_verdict)

    async def run(self) -> None:
        """Backfill until cancelled. Requests to an exchange that fails are retried later, and delay nothing else."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat(self._next_fetch))
            # A separate loop: fetching must not wait when the request weight for such questions is used up.
            tasks.create_task(self._repeat(self._next_question))

    async def _repeat(self, next_work: Callable[[], Awaitable[None] | None]) -> None:
        waits = delays(0.5, 30.0)
        while True:
            try:
                while work := next_work():
                    with contextlib.suppress(NotCountedError):  # the trouble of one topic, whose symbol is left out
                        await work
                    waits = delays(0.5, 30.0)
                wait_s = CHECK_S
            except ExchangeError as error:
                wait_s = next(waits)
                metrics.FAILURES.labels(self._exchange.name).inc()
                log.warning("request to the history failed, will retry", error=str(error), retry_s=round(wait_s, 1))
            await asyncio.sleep(wait_s)

    def _next_fetch(self) -> Awaitable[None] | None:
        accounts, accepts = self._known(), self._pages.accepts
        found = self._attempts.newest_due(accounts, accepts)
        if found is not None:
            return self._fill(*found)
        account = self._beginnings.next_due(accounts, accepts)
        return self._begin(account) if account is not None else None

    def _next_question(self) -> Awaitable[None] | None:
        return self._questions.next_due([account for account in self._accounts() if account.is_read_up])

    def _known(self) -> list[Account]:
        """Return the accounts that have trades and are read up: no other account can show that trades are missing."""
        accounts = list(self._accounts())
        self._pages.keep(accounts)
        return [account for account in accounts if account.is_read_up and account.ledger.counted.runs]

    async def _fill(self, account: Account, hole: Hole) -> None:
        """Fetch one page of a hole, starting at its first id.

        Only an answer in which the trades are absent shows that the exchange lacks them. A refusal, no answer, or
        trades that seem impossible here prove nothing: the hole stays and is retried.
        """
        with marked(account):
            try:
                page = await self._exchange.history(
                    account.symbol, hole.first, hole.last, after_us=hole.after_us, before_us=hole.before_us
                )
                if page is None:
                    return await self._miss(account, hole, hole.last)
                begins = await self._pages.publish(account, page, hole.generation, before_us=hole.before_us)
                if self._earlier.is_in(account, page):
                    return await self._give_up_earlier(account, hole, page)
            except PermanentError as error:
                retry_s = self._attempts.refuse(account, hole)
                metrics.FAILURES.labels(self._exchange.name).inc()
                log.warning(
                    "request for missing trades refused, will retry", symbol=account.symbol, first_id=hole.first,
                    last_id=hole.last, error=str(error), retry_s=round(retry_s, 1),
                )  # fmt: skip
                return None
            except ExchangeError:
                self._attempts.fail(account, hole)  # other holes may be filled meanwhile
                raise
            answered = page.all_ids()[0]
            if answered > hole.first:
                return await self._miss(account, hole, answered - 1)
            if begins == answered:
                self._attempts.forget(account, hole)
            else:  # the page has the trades, but they cannot be true as far as this process can tell
                self._attempts.refuse(account, hole)
            return None

    async def _give_up_earlier(self, account: Account, hole: Hole, page: Trades) -> None:
        if await self._earlier.give_up(account, hole, page):
            self._attempts.forget(account, hole)
        else:
            self._attempts.refuse(account, hole)
        self._on_verdict()

    async def _miss(self, account: Account, hole: Hole, last: int) -> None:
        """Postpone a hole whose ids up to `last` the history lacks, or give these ids up.

        Ids are given up once the history has lacked them for a while, but only ids below the exchange's newest trade.
        """
        if not self._attempts.miss(account, hole):
            return
        newest = await self._exchange.newest(account.symbol)
        if hole.generation != account.ledger.generation:
            return  # the ids have begun again meanwhile
        if newest is not None:
            account.ledger.reach(newest.id)
        last = min(last, newest.id - 1 if newest is not None else -1)
        if last < hole.first:
            return  # the exchange has not come beyond these ids: the history lags, or the id above them is a stray one
        if any(low <= hole.first and last <= high for low, high in account.ledger.unfillable()):
            return  # given up already; the rest of the hole is above the exchange's newest trade
        account.ledger.give_up(hole.first, last)
        self._attempts.forget(account, hole)
        metrics.UNFILLABLE.labels(self._exchange.name, account.symbol).inc(last - hole.first + 1)
        log.error(
            "trades given up, the exchange does not have them", symbol=account.symbol, first_id=hole.first, last_id=last
        )
        self._on_verdict()

    async def _begin(self, account: Account) -> None:
        with marked(account):
            is_proven = False
            try:
                is_proven = await reach_back(self._exchange, self._pages, account)
            except PermanentError as error:
                retry_s = self._beginnings.refuse(account)
                metrics.FAILURES.labels(self._exchange.name).inc()
                log.warning(
                    "request for the beginning refused, will retry", symbol=account.symbol, error=str(error),
                    retry_s=round(retry_s, 1),
                )  # fmt: skip
                return
            except ExchangeError:
                self._beginnings.fail(account)  # other beginnings may be reached meanwhile
                raise
            self._beginnings.end(account)
            if is_proven:
                self._on_verdict()
