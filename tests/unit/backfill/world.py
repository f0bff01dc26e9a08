"""An exchange whose history does what a test says, owned symbols, and a backfill between them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

from marketstream.backfill.service import Backfill
from marketstream.exchanges.base import Newest
from marketstream.exchanges.errors import ExchangeError, PermanentError
from marketstream.exchanges.simulator.exchange import Simulator
from marketstream.kafka.publisher import Publisher
from marketstream.market.counted import Run
from marketstream.market.progress import Progress
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_US
from marketstream.postgres.writer import SymbolKey
from marketstream.processor.symbol import OwnedSymbol

from tests.harness.scenarios import EPOCH, PRICE_SCALE, QUANTITY_SCALE
from tests.unit.processor.owners import apply, owner, record
from tests.unit.virtual import VirtualClock, now_us

FIRST, OTHER = SymbolKey("simulator", "FIRST"), SymbolKey("simulator", "OTHER")
PAGE = 10
QUIET_S = 30.0
STRAY = 500_000


def trade(trade_id: int, after_s: float | None = None) -> Trade:
    """Return a trade some seconds after EPOCH: by default a tenth of a second for each id."""
    time_us = EPOCH + int((trade_id / 10 if after_s is None else after_s) * 1e6)
    return Trade(trade_id, 1, time_us, 100, 5, taker_buy=True)


class Exchange(Simulator):
    """Has the given trades, in pages of PAGE."""

    def __init__(self, trades: Iterable[Trade] = (), symbols: Iterable[str] = (FIRST.symbol,)) -> None:
        super().__init__(1)
        known = {trade.id: trade for trade in trades}
        self.trades = {name: dict(known) for name in symbols}
        self.broken: set[str] = set()
        self.refused: set[str] = set()
        self.behind_us = 0
        """The µs by which its clock is behind."""
        self.says_newest = False
        """True if it reports the newest trade even of symbols whose history is broken."""
        self.asked: list[tuple[str, int]] = []
        self.asked_newest = 0

    async def history(self, symbol: str, first_id: int, last_id: int, **_hints: int | None) -> Trades | None:
        self.asked.append((symbol, first_id))
        await asyncio.sleep(0.1)
        if symbol in self.broken:
            raise ExchangeError("no answer")
        if symbol in self.refused:
            raise PermanentError("no such symbol")
        known = self.trades[symbol]
        page = [known[trade_id] for trade_id in sorted(known) if first_id <= trade_id <= last_id][:PAGE]
        return Trades.of(page, PRICE_SCALE, QUANTITY_SCALE) if page else None

    async def newest(self, symbol: str) -> Newest | None:
        self.asked_newest += 1
        await asyncio.sleep(0.1)
        if symbol in self.broken and not self.says_newest:
            raise ExchangeError("no answer")
        highest = max(self.trades[symbol], default=None)
        return None if highest is None else Newest(highest, now_us() - self.behind_us)


class Topics:
    """Applies published records to their symbols at once."""

    def __init__(self, *owned: OwnedSymbol) -> None:
        self._owned = {symbol.topic: symbol for symbol in owned}
        self.stuck: set[str] = set()
        """The topics for which Kafka does not answer."""

    async def send(self, topic: str, value: bytes) -> "asyncio.Future[bool]":
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if topic not in self.stuck:
            apply(self._owned[topic], value)
            answer.set_result(True)
        return answer


def known(key: SymbolKey = FIRST) -> OwnedSymbol:
    """Return a symbol of which trade 0 is stored."""
    return owner(
        key, Progress(closed_until=EPOCH // WINDOW_US, counted=(Run(0, 0, EPOCH - 1, EPOCH - 1),), begin_known=True)
    )


def hear(owned: OwnedSymbol, *trades: Trade) -> None:
    """Apply trades as if the feed had brought them."""
    apply(owned, record(*trades, key=owned.key))


@contextlib.asynccontextmanager
async def backfilled(
    exchange: Exchange, *owned: OwnedSymbol, quiet_s: float = QUIET_S, topics: Topics | None = None
) -> AsyncIterator[list[float]]:
    """Run a backfill in the block, which receives the times at which a verdict has changed."""
    verdicts: list[float] = []
    publisher: Publisher = topics or Topics(*owned)  # type: ignore[assignment]
    backfill = Backfill(exchange, publisher, lambda: owned, lambda: verdicts.append(VirtualClock.monotonic()), quiet_s)
    task = asyncio.create_task(backfill.run())
    try:
        yield verdicts
        assert not task.done(), "backfill has ended"
    finally:
        task.cancel()
        await asyncio.wait([task])


def is_whole(owned: OwnedSymbol) -> bool:
    return len(owned.ledger.counted) == 1
