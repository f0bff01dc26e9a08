"""The loop that keeps the owned symbols without holes.

It does one thing at a time, the most useful first: the newest hole of all symbols; the beginning of a symbol just
started; whether a symbol that has gone quiet really is. What it fetches goes into the symbol's topic and is counted
when the processor reads it from there, so that the log holds every trade.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final

from marketstream.backfill import metrics
from marketstream.backfill.account import Account, Hole, newest_hole
from marketstream.backoff import delays
from marketstream.codec import TradesRecord, encode
from marketstream.exchanges.base import Exchange, ExchangeError
from marketstream.market.counted import Run
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_US, window_of
from marketstream.streams.publisher import Publisher
from marketstream.telemetry import logger

log = logger(__name__)

LOOK_S: Final = 0.2
"""Seconds between looks for something to do."""

APPLIED_LIMIT_S: Final = 10.0
"""Seconds for what was published to come back through the topic."""

PATIENCE: Final = 5
"""Answers without the trades after which a hole is given up: a history may lag a little behind the feed."""

QUIET_S: Final = 30.0
"""Seconds without a trade after which the exchange is asked whether there was none."""

QUIET_MARGIN_US: Final = 2_000_000
"""µs by which an answer may be older than the exchange's clock says."""

BEGIN_PAGE: Final = 1_000
"""Trades asked for at a time on the way back to the beginning of the first window."""

BEGIN_PAGES: Final = 50
"""Most pages of that way: beyond it the first window stays unconfirmed."""

RECORD_TRADES: Final = 500
"""Trades of one record."""


class Backfill:
    """Backfills the accounts that `accounts` gives at each look. `on_verdict` hears when a verdict has changed without
    a record being read."""

    def __init__(
        self,
        exchange: Exchange,
        publisher: Publisher,
        accounts: Callable[[], Iterable[Account]],
        on_verdict: Callable[[], None],
    ) -> None:
        self._exchange = exchange
        self._publisher = publisher
        self._accounts = accounts
        self._on_verdict = on_verdict
        self._empty_answers: dict[tuple[str, int], int] = {}
        self._begun: set[Account] = set()
        self._asked_at: dict[Account, float] = {}

    async def run(self) -> None:
        """Backfills until cancelled. An exchange that fails is asked again later; nothing else waits for it."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat(self._next_fetch))
            # Apart, so that a hole does not wait while there is no request weight left to ask who is quiet.
            tasks.create_task(self._repeat(self._next_question))

    async def _repeat(self, next_work: Callable[[], Awaitable[None] | None]) -> None:
        waits = delays(0.5, 30.0)
        while True:
            try:
                while work := next_work():
                    await work
                waits, wait_s = delays(0.5, 30.0), LOOK_S
            except ExchangeError as error:
                wait_s = next(waits)
                metrics.FAILURES.labels(self._exchange.name).inc()
                log.warning("the exchange's history does not answer", error=str(error), retry_s=round(wait_s, 1))
            await asyncio.sleep(wait_s)

    def _next_fetch(self) -> Awaitable[None] | None:
        """The newest hole; when there is none, the beginning of a symbol just started."""
        accounts = self._known()
        found = newest_hole(accounts)
        if found is not None:
            return self._fill(*found)
        self._begun &= set(accounts)
        for account in accounts:
            if account.is_first_start and account not in self._begun:
                return self._begin(account)
        return None

    def _next_question(self) -> Awaitable[None] | None:
        """A symbol that has been quiet for long, and was not asked about for as long."""
        now = time.monotonic()
        accounts = self._known()
        self._asked_at = {account: at for account, at in self._asked_at.items() if account in accounts}
        for account in accounts:
            if account.quiet_for_s >= QUIET_S and now >= self._asked_at.get(account, 0.0) + QUIET_S:
                self._asked_at[account] = now
                return self._ask_newest(account)
        return None

    def _known(self) -> list[Account]:
        """The accounts that have begun and have read what their topics held: before, nothing is known to be missing."""
        return [account for account in self._accounts() if account.is_read_up and account.ledger.counted.runs]

    async def _fill(self, account: Account, hole: Hole) -> None:
        """Fetches one page of a hole, from its first id on."""
        with _marked(account):
            page = await self._exchange.history(
                account.symbol, hole.first, hole.last, after_us=hole.after_us, before_us=hole.before_us
            )
            if page is None:
                await self._miss(account, hole.first, hole.last)
                return
            begins = min(page.all_ids())
            if begins > hole.first:
                await self._miss(account, hole.first, begins - 1)
            await self._publish(account, list(page), page)

    async def _miss(self, account: Account, first: int, last: int) -> None:
        """The exchange's history lacks the ids `first` to `last`: asked again a few times, then given up."""
        key = account.topic, first
        answers = self._empty_answers[key] = self._empty_answers.get(key, 0) + 1
        if answers < PATIENCE:
            await asyncio.sleep(0.2 * 2**answers)
            return
        del self._empty_answers[key]
        account.ledger.give_up(first, last)
        metrics.UNFILLABLE.labels(self._exchange.name, account.symbol).inc(last - first + 1)
        log.error("the exchange has no such trades", symbol=account.symbol, first_id=first, last_id=last)
        self._on_verdict()

    async def _begin(self, account: Account) -> None:
        """At a first start: back to the beginning of the window in which the first trade was heard."""
        lowest = account.ledger.counted.runs[0]
        window_us = window_of(lowest.low_time) * WINDOW_US
        with _marked(account):
            for _ in range(BEGIN_PAGES):
                if lowest.low == 0 or lowest.low_time < window_us:
                    break
                if not await self._reach_back(account, lowest, window_us):
                    break
                lowest = account.ledger.counted.runs[0]
        self._begun.add(account)

    async def _reach_back(self, account: Account, lowest: Run, window_us: int) -> bool:
        """Fetches what is before the lowest trade, of which only what happened from `window_us` on is wanted. Whether
        the way back goes on."""
        first_id = max(0, lowest.low - BEGIN_PAGE)
        before: Trade | None = None
        while first_id < lowest.low:
            page = await self._exchange.history(account.symbol, first_id, lowest.low - 1, before_us=lowest.low_time)
            if page is None:
                return False
            trades = list(page)
            first_id = trades[-1].id + trades[-1].n
            within = [trade for trade in trades if trade.time >= window_us]
            if len(within) < len(trades):
                before = trades[-len(within) - 1]
            if within:
                await self._publish(account, within, page)
        if before is None:
            return True
        if account.ledger.confirm_begin(before.id + before.n, before.time):
            self._on_verdict()
        return False

    async def _ask_newest(self, account: Account) -> None:
        """Whether a quiet symbol really is quiet. If so its windows are proven; if not, its feed has died silently,
        and the trades since then are fetched."""
        newest = await self._exchange.newest(account.symbol)
        if newest is None:
            return
        highest = account.ledger.counted.runs[-1]
        if newest.id > highest.high:
            hole = Hole(highest.high + 1, newest.id, highest.high_time, newest.time_us + 1)
            await self._fill(account, hole)
        elif account.confirm_quiet(newest.id, newest.at_us - QUIET_MARGIN_US):
            self._on_verdict()

    async def _publish(self, account: Account, trades: list[Trade], page: Trades) -> None:
        """Publishes the trades and waits until the processor has counted them."""
        received_us = time.time_ns() // 1000
        for start in range(0, len(trades), RECORD_TRADES):
            part = Trades.of(trades[start : start + RECORD_TRADES], page.price_scale, page.quantity_scale)
            record = TradesRecord(self._exchange.name, account.symbol, received_us, part)
            await asyncio.wait([await self._publisher.send(account.topic, encode(record))])
        metrics.TRADES.labels(self._exchange.name, account.symbol).inc(sum(trade.n for trade in trades))
        first, last = trades[0].id, trades[-1].id + trades[-1].n - 1
        deadline = time.monotonic() + APPLIED_LIMIT_S
        while account.ledger.counted.overlap(first, last) < sum(trade.n for trade in trades):
            if time.monotonic() > deadline:
                log.warning("fetched trades were not counted in time", symbol=account.symbol, first_id=first)
                return
            await asyncio.sleep(0.01)


@contextlib.contextmanager
def _marked(account: Account) -> Iterator[None]:
    account.backfilling = True
    try:
        yield
    finally:
        account.backfilling = False
