"""A symbol whose records are written by hand, and its processor, which runs in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
from marketstream.codec import Heartbeat, Quiet, TradesRecord, encode
from marketstream.kafka.topics import topic_name
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_US
from marketstream.postgres.writer import SymbolKey
from marketstream.processor.service import run_processor
from marketstream.settings import Settings

from tests.harness.clients import produce, within
from tests.harness.scenarios import EPOCH, PRICE_SCALE, QUANTITY_SCALE

EXCHANGE: Final = "binance"
SYMBOL: Final = "BTCUSDT"
KEY: Final = SymbolKey(EXCHANGE, SYMBOL)
LIMIT_S: Final = 15


def trade(trade_id: int, window: float, price: int = 100) -> Trade:
    """Return a trade at a time in windows since EPOCH."""
    return Trade(trade_id, 1, EPOCH + int(window * WINDOW_US), price, 5, taker_buy=True)


def record(*trades: Trade) -> bytes:
    """Return a record of these trades, received when the last of them happened."""
    columns = Trades.of(trades, PRICE_SCALE, QUANTITY_SCALE)
    return encode(TradesRecord(EXCHANGE, SYMBOL, max(columns.times), columns))


def heartbeat(window: float) -> bytes:
    """Return a heartbeat at a time in windows since EPOCH."""
    time = EPOCH + int(window * WINDOW_US)
    return encode(Heartbeat(EXCHANGE, SYMBOL, time, time, -1))


def quiet(newest_id: int, window: float) -> bytes:
    """Return the proof, at a time in windows since EPOCH, that no trade has followed this one."""
    time = EPOCH + int(window * WINDOW_US)
    return encode(Quiet(EXCHANGE, SYMBOL, time, newest_id, time))


class Market:
    """The symbol's topic and its processor."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.topic = topic_name(settings.topic_prefix, EXCHANGE, SYMBOL)
        self.end = 0
        """The offset of the next record."""

    async def publish(self, *records: bytes) -> None:
        """Add records to the topic."""
        await produce(self.settings.kafka_bootstrap, self.topic, *records)
        self.end += len(records)

    @asynccontextmanager
    async def processed(self) -> AsyncIterator[None]:
        """Run a processor in the block, and stop it gracefully afterwards."""
        stop = asyncio.Event()
        processor = asyncio.create_task(run_processor(self.settings, stop, history=None))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(processor, LIMIT_S)

    async def stored(self, pool: asyncpg.Pool) -> None:
        """Wait until everything published is stored; the last record must close a window."""

        async def position_is_end() -> None:
            position = await pool.fetchval("SELECT position FROM progress WHERE topic = $1", self.topic)
            assert position == self.end, f"{position} of {self.end} records are stored"

        await within(LIMIT_S, position_is_end)
