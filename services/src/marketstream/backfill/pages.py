"""Pages of an exchange's history on their way into a symbol's topic."""

import asyncio
import time
from typing import Final

from marketstream.backfill import metrics
from marketstream.backfill.account import Account
from marketstream.codec import TradesRecord, encode
from marketstream.exchanges.errors import ExchangeError
from marketstream.kafka.publisher import Publisher
from marketstream.market.errors import TradeError
from marketstream.market.trade import Trade, Trades
from marketstream.telemetry import logger

log = logger(__name__)

APPLIED_LIMIT_S: Final = 10.0
"""Seconds for what was published to come back through the topic."""

RECORD_TRADES: Final = 500
"""Trades of one record."""


class NotCountedError(ExchangeError):
    """What was published has not come back through the topic in time: Kafka is slow, or refuses it."""


class Pages:
    """Publishes pages and waits until they are counted."""

    def __init__(self, exchange: str, publisher: Publisher) -> None:
        self._exchange = exchange
        self._publisher = publisher

    async def publish(self, account: Account, page: Trades, *, since_us: int = 0) -> int | None:
        """Publishes what of the page happened from `since_us` (Unix µs) on and can be true. The first id of that, None
        when there is none. Raises NotCountedError when it is not counted in time."""
        received_us = time.time_ns() // 1000
        trades = [trade for trade in _sound(page, received_us) if trade.time >= since_us]
        if not trades:
            return None
        for start in range(0, len(trades), RECORD_TRADES):
            part = Trades.of(trades[start : start + RECORD_TRADES], page.price_scale, page.quantity_scale)
            record = TradesRecord(self._exchange, account.symbol, received_us, part)
            await asyncio.wait([await self._publisher.send(account.topic, encode(record))])
        metrics.TRADES.labels(self._exchange, account.symbol).inc(sum(trade.n for trade in trades))
        await _wait_until_counted(account, trades)
        return trades[0].id


def _sound(page: Trades, received_us: int) -> list[Trade]:
    """The trades of a page without those that cannot be true: in a record with them, all would be refused."""
    try:
        page.check(received_us)
        return list(page)
    except TradeError as error:
        log.warning("the history has trades that cannot be true", error=str(error))
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
                f"{len(trades)} trades of {account.symbol} from id {trades[0].id} on are not counted yet"
            )
        await asyncio.sleep(0.01)
