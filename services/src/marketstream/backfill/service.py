"""The loops that keep the owned symbols without holes.

One fetches: the newest hole of all symbols that may be tried now, a page at a time, or the beginning of a symbol just
started. The other asks whether symbols that have gone quiet really are. What is found goes into the symbol's topic and
is counted when the processor reads it from there, so that the log holds every trade and every proof.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final

from marketstream.backfill import metrics
from marketstream.backfill.account import Account, Hole
from marketstream.backfill.attempts import Attempts
from marketstream.backfill.begin import Beginnings, reach_back
from marketstream.backfill.pages import Pages
from marketstream.backoff import delays
from marketstream.codec import Quiet, encode
from marketstream.exchanges.base import Exchange, Newest
from marketstream.exchanges.errors import ExchangeError, PermanentError
from marketstream.kafka.publisher import Publisher
from marketstream.market.counted import Run
from marketstream.telemetry import logger

log = logger(__name__)

LOOK_S: Final = 0.2
"""Seconds between looks for something to do."""

QUIET_MARGIN_US: Final = 10_000_000
"""µs by which an answer may be older than the exchange's clock says: its history may lag, and its clock be ahead. What
is proven too early stays proven, so this is generous."""


class Backfill:
    """Backfills the accounts that `accounts` gives at each look. `on_verdict` hears when a verdict has changed without
    a record being read. After `quiet_s` seconds without a trade the exchange is asked whether there was none."""

    def __init__(
        self,
        exchange: Exchange,
        publisher: Publisher,
        accounts: Callable[[], Iterable[Account]],
        on_verdict: Callable[[], None],
        quiet_s: float,
    ) -> None:
        self._exchange = exchange
        self._publisher = publisher
        self._pages = Pages(exchange.name, publisher)
        self._accounts = accounts
        self._on_verdict = on_verdict
        self._quiet_s = quiet_s
        self._attempts = Attempts()
        self._beginnings = Beginnings()
        self._asked_at: dict[Account, float] = {}

    async def run(self) -> None:
        """Backfills until cancelled. An exchange that fails is asked again later; nothing else waits for it."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat(self._next_fetch))
            # Apart, so that a hole does not wait while the weight that is left to ask who is quiet is spent.
            tasks.create_task(self._repeat(self._next_question))

    async def _repeat(self, next_work: Callable[[], Awaitable[None] | None]) -> None:
        waits = delays(0.5, 30.0)
        while True:
            try:
                while work := next_work():
                    await work
                    waits = delays(0.5, 30.0)
                wait_s = LOOK_S
            except ExchangeError as error:
                wait_s = next(waits)
                metrics.FAILURES.labels(self._exchange.name).inc()
                log.warning("the exchange's history does not answer", error=str(error), retry_s=round(wait_s, 1))
            await asyncio.sleep(wait_s)

    def _next_fetch(self) -> Awaitable[None] | None:
        accounts = self._known()
        found = self._attempts.newest_due(accounts)
        if found is not None:
            return self._fill(*found)
        account = self._beginnings.next_due(accounts)
        return self._begin(account) if account is not None else None

    def _next_question(self) -> Awaitable[None] | None:
        """A symbol that has been quiet for long, and was not asked about for as long."""
        now = time.monotonic()
        accounts = self._known()
        self._asked_at = {account: at for account, at in self._asked_at.items() if account in accounts}
        for account in accounts:
            if account.quiet_for_s >= self._quiet_s and now >= self._asked_at.get(account, 0.0) + self._quiet_s:
                self._asked_at[account] = now
                return self._ask_newest(account)
        return None

    def _known(self) -> list[Account]:
        """The accounts that have begun and have read what their topics held: before, nothing is known to be missing."""
        return [account for account in self._accounts() if account.is_read_up and account.ledger.counted.runs]

    async def _fill(self, account: Account, hole: Hole) -> None:
        """Fetches one page of a hole, from its first id on."""
        with _marked(account):
            begins: int | None = None
            try:
                page = await self._exchange.history(
                    account.symbol, hole.first, hole.last, after_us=hole.after_us, before_us=hole.before_us
                )
                if page is not None:
                    begins = await self._pages.publish(account, page)
            except PermanentError as error:
                log.warning("the exchange refuses to fill a hole", symbol=account.symbol, error=str(error))
            except ExchangeError:
                self._attempts.fail(account, hole)  # others may be filled meanwhile
                raise
            if begins == hole.first:
                self._attempts.forget(account, hole)
            else:
                await self._miss(account, hole, hole.last if begins is None else begins - 1)

    async def _miss(self, account: Account, hole: Hole, last: int) -> None:
        """The history does not have the ids from the hole's first to `last`: they are asked for again for a while, and
        then given up, as far as the exchange has come by then."""
        if not self._attempts.miss(account, hole):
            return
        newest = await self._exchange.newest(account.symbol)
        last = min(last, newest.id if newest is not None else last)
        if last < hole.first:
            return  # a stray id, far ahead of the exchange: nothing is missing below it yet
        account.ledger.give_up(hole.first, last)
        self._attempts.forget(account, hole)
        metrics.UNFILLABLE.labels(self._exchange.name, account.symbol).inc(last - hole.first + 1)
        log.error("the exchange has no such trades", symbol=account.symbol, first_id=hole.first, last_id=last)
        self._on_verdict()

    async def _begin(self, account: Account) -> None:
        with _marked(account):
            is_proven = False
            try:
                is_proven = await reach_back(self._exchange, self._pages, account)
            except PermanentError as error:
                # To ask again would be refused again: the first window stays unconfirmed, for all to see.
                log.warning("the exchange refuses to tell the beginning", symbol=account.symbol, error=str(error))
            except ExchangeError:
                self._beginnings.fail(account)  # others may be reached meanwhile
                raise
            self._beginnings.end(account)
            if is_proven:
                self._on_verdict()

    async def _ask_newest(self, account: Account) -> None:
        """Whether a quiet symbol really is quiet. If so its windows are proven; if not, its feed has died silently,
        and the trades since then are fetched."""
        newest = await self._exchange.newest(account.symbol)
        highest = account.ledger.newest_run()
        if newest is None or highest is None:
            return
        if newest.id == highest.high:
            record = Quiet(
                self._exchange.name, account.symbol, time.time_ns() // 1000, newest.id, newest.at_us - QUIET_MARGIN_US
            )
            await asyncio.wait([await self._publisher.send(account.topic, encode(record))])
        elif newest.id > highest.high:
            with _marked(account):
                await self._make_up(account, highest, newest)

    async def _make_up(self, account: Account, after: Run, newest: Newest) -> None:
        """Fetches what has happened after a run, until the exchange's newest trade, a page at a time."""
        first, after_us = after.high + 1, after.high_time
        # The newest trade may have happened a moment after the exchange was asked, and its clock may be behind. Too
        # late a bound costs nothing, for the ids tell what is fetched; one before the begin would be refused.
        before_us = max(after_us, newest.at_us + QUIET_MARGIN_US)
        while first <= newest.id:
            page = await self._exchange.history(
                account.symbol, first, newest.id, after_us=after_us, before_us=before_us
            )
            if page is None or await self._pages.publish(account, page) is None:
                return
            last = max(page)
            # The entry stands for all its trades, and its time, which may be wrong, is no more than a hint.
            first, after_us = last.id + last.n, min(max(after_us, last.time), before_us)


@contextlib.contextmanager
def _marked(account: Account) -> Iterator[None]:
    account.backfilling = True
    try:
        yield
    finally:
        account.backfilling = False
