"""Publish pages of an exchange's history into a symbol's topic."""

import asyncio
import contextlib
import time
from collections.abc import Collection, Iterator
from typing import Final

from marketstream.backfill import metrics
from marketstream.backfill.account import Account
from marketstream.backfill.attempts import Tried
from marketstream.codec import TradesRecord, encode
from marketstream.exchanges.errors import ExchangeError
from marketstream.kafka.publisher import Publisher
from marketstream.market.errors import TradeError
from marketstream.market.trade import Trade, Trades
from marketstream.telemetry import logger

log = logger(__name__)

APPLIED_LIMIT_S: Final = 10.0
"""Seconds within which published trades must be counted."""

MOST_STUCK_S: Final = 300.0
"""Maximum seconds for which a symbol is left out after its topic did not accept records, or they were not counted."""

RECORD_TRADES: Final = 500
"""Maximum number of trades in one record."""


class NotCountedError(ExchangeError):
    """Published trades were not counted in time: Kafka is slow or refuses them. It concerns one topic only."""


class Pages:
    """Publishes pages and waits until they are counted.

    A symbol whose topic is stuck is left out for a while, because each attempt keeps the other symbols waiting.
    """

    def __init__(self, exchange: str, publisher: Publisher) -> None:
        self._exchange = exchange
        self._publisher = publisher
        self._stuck: dict[Account, Tried] = {}

    def accepts(self, account: Account) -> bool:
        """Return False while the symbol is left out because its topic is stuck."""
        return account not in self._stuck or self._stuck[account].is_due()

    def keep(self, accounts: Collection[Account]) -> None:
        """Forget the failures of all symbols but these."""
        self._stuck = {account: tried for account, tried in self._stuck.items() if account in accounts}

    async def publish(
        self, account: Account, page: Trades, generation: int, *, since_us: int = 0, before_us: int | None = None
    ) -> int | None:
        """Publish the trades of the page that happened at or after `since_us` (Unix µs) and can be true.

        `generation` is that of the account when the page was asked for. If the ids have begun again since, nothing is
        published, because the ids of the page mean other trades. Trades from before the account's generation are left
        out as well: they would be refused. `before_us` (Unix µs) is the time of a trade that is counted already, or of
        an answer of the exchange: a trade before then is not from the future, even if the local clock is behind.

        Return the id of the first trade published, or None if there is none.

        Raise NotCountedError if the trades are not counted in time.
        """
        received_us = max(time.time_ns() // 1000, before_us or 0)
        since_us = max(since_us, account.ledger.fetched_since_us)
        trades = [trade for trade in _sound(page, received_us) if trade.time >= since_us]
        if not trades:
            return None
        for start in range(0, len(trades), RECORD_TRADES):
            if generation != account.ledger.generation:
                return None
            part = Trades.of(trades[start : start + RECORD_TRADES], page.price_scale, page.quantity_scale)
            record = TradesRecord(self._exchange, account.symbol, received_us, part)
            await self.send(account, encode(record))
        metrics.TRADES.labels(self._exchange, account.symbol).inc(sum(trade.n for trade in trades))
        with self._watched(account):
            await _wait_until_counted(account, trades)
        self._stuck.pop(account, None)
        return trades[0].id

    async def send(self, account: Account, record: bytes) -> None:
        """Send a record to the symbol's topic. Raise NotCountedError if Kafka does not accept it in time."""
        with self._watched(account):
            answer = await self._publisher.send(account.topic, record)
            await asyncio.wait([answer], timeout=APPLIED_LIMIT_S)
            if not (answer.done() and answer.result()):  # a topic in trouble must not keep other symbols waiting
                raise NotCountedError(f"Kafka does not accept the records of {account.symbol}")

    @contextlib.contextmanager
    def _watched(self, account: Account) -> Iterator[None]:
        """Leave the symbol out for a while if the block raises NotCountedError, longer each time."""
        try:
            yield
        except NotCountedError as error:
            retry_s = self._stuck.setdefault(account, Tried(APPLIED_LIMIT_S)).postpone(MOST_STUCK_S)
            metrics.FAILURES.labels(self._exchange).inc()
            log.warning(
                "fetched trades not counted, will retry", symbol=account.symbol, error=str(error),
                retry_s=round(retry_s, 1),
            )  # fmt: skip
            raise


def _sound(page: Trades, received_us: int) -> list[Trade]:
    """Return the trades of a page that can be true. A record that contains any other trade would be rejected."""
    try:
        page.check(received_us)
        return list(page)
    except TradeError as error:
        log.warning("trades of the history skipped, they cannot be true", error=str(error))
    return [trade for trade in page if _is_sound(trade, page, received_us)]


def _is_sound(trade: Trade, page: Trades, received_us: int) -> bool:
    try:
        Trades.of([trade], page.price_scale, page.quantity_scale).check(received_us)
    except TradeError:
        return False
    return True


async def _wait_until_counted(account: Account, trades: list[Trade]) -> None:
    deadline = time.monotonic() + APPLIED_LIMIT_S
    while any(account.ledger.counted.overlap(trade.id, trade.id) == 0 for trade in (trades[0], trades[-1])):
        if time.monotonic() > deadline:
            raise NotCountedError(
                f"{len(trades)} trades of {account.symbol}, starting at id {trades[0].id}, were not counted within "
                f"{APPLIED_LIMIT_S:.0f} s of their publication"
            )
        await asyncio.sleep(0.01)
