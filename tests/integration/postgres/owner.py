"""An owner of a symbol without a processor, which stores trades of the test."""

import asyncpg
from marketstream.market.aggregator import Aggregator
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_US
from marketstream.postgres.writer import Committed, Numbered, Writer

from tests.harness.scenarios import EPOCH, FAR, GRACE_US, PRICE_SCALE, QUANTITY_SCALE
from tests.integration.processor.market import KEY, trade

TOPICS = {KEY: "trades.binance.btcusdt"}
START = EPOCH // 1_000_000
WHOLE = [trade(1, 0.5), trade(2, 1.2), trade(3, 1.8), trade(4, 2.5)]


class Owner:
    """An owner of the symbol that stores every trade it is given."""

    def __init__(self, writer: Writer, fence: int, aggregator: Aggregator) -> None:
        self._writer = writer
        self._aggregator = aggregator
        self._fence = fence
        self._number = 0

    @classmethod
    async def of(cls, pool: asyncpg.Pool) -> "Owner":
        """Claim the symbol as its first owner."""
        writer = Writer(pool)
        claim = (await writer.claim(TOPICS))[KEY]
        return cls(writer, claim.fence, Aggregator(claim.progress, grace_us=GRACE_US, max_id_jump=10**6, max_holes=100))

    def take(self, *trades: Trade, until: float = 0.0) -> Numbered:
        """Apply these trades and then a heartbeat, and return the commit that stores them."""
        self._number += 1
        if trades:
            self._aggregator.apply(Trades.of(trades, PRICE_SCALE, QUANTITY_SCALE), self._number, FAR)
        self._aggregator.heartbeat(EPOCH + int(until * WINDOW_US))
        return Numbered(self._fence, self._number, self._aggregator.take(self._number))

    async def store(self, *trades: Trade, until: float = 0.0) -> Committed:
        """Apply and commit these trades and then a heartbeat at `until`, in windows since EPOCH."""
        return await self.commit(self.take(*trades, until=until))

    async def commit(self, numbered: Numbered) -> Committed:
        """Store a commit that was taken."""
        return await self._writer.commit({KEY: numbered})
