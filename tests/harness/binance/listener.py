"""Reading a feed of Binance as a producer does, and comparing it with the trades that happened."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence

from marketstream.exchanges.base import ClockAdvanced, ConnectionAlive, ConnectionChanged, FeedEvent
from marketstream.exchanges.binance.exchange import Binance
from marketstream.exchanges.binance.timing import Timing
from marketstream.market.number import to_text
from marketstream.market.trade import Trade, Trades
from marketstream.redis.budget import Budget

from tests.harness.binance.server import BinanceServer

LIMIT_S = 15.0
"""Seconds within which anything that a test waits for must happen."""

IMPATIENT = Timing(
    open_s=2, answer_s=2, ping_s=0.5, pong_s=0.5, first_retry_s=0.05, most_retry_s=0.5, steady_s=0.5, overlap_s=0.5,
    stale_s=1.0, confirm_s=0.3, clock_s=0.05, attempts=100_000,
)  # fmt: skip
"""Shorter times than the defaults: two pings per second stay within the limit of five messages."""


async def until(condition: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    """Wait until the condition holds, or fail after `limit_s` seconds."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - the conditions have no events
            await asyncio.sleep(0.01)


class Listener:
    """Collects the events of a feed by symbol."""

    def __init__(self, server: BinanceServer, exchange: Binance) -> None:
        self.server = server
        self.exchange = exchange
        self._markets = dict(server.markets)  # trades of a symbol that is delisted may still be on their way
        self.received: dict[str, list[int]] = defaultdict(list)
        self.clocks: dict[str, int] = defaultdict(int)
        self.connected: dict[str, list[bool]] = defaultdict(list)
        """The changes of each symbol's connection: True when it was opened, False when it was lost."""
        self.late = 0
        """Trades that arrived after a ClockAdvanced event with a later time."""

    def receive(self, event: FeedEvent) -> None:
        """Process an event, and assert that every trade is as it happened."""
        if isinstance(event, ConnectionAlive):
            return
        if isinstance(event, ConnectionChanged):
            self.connected[event.symbol].append(event.is_open)
            return
        if isinstance(event, ClockAdvanced):
            self.clocks[event.symbol] = max(self.clocks[event.symbol], event.time_us)
            return
        event.trades.check(event.received_us)
        self.late += sum(time < self.clocks[event.symbol] for time in event.trades.times)
        self.received[event.symbol] += [trade.id for trade in event.trades]
        self.compare(event.symbol, event.trades)

    def compare(self, symbol: str, trades: Trades) -> None:
        """Assert that the trades are those that happened, to the digit."""
        market = self._markets[symbol]
        for trade in trades:
            happened = market.from_id(trade.id, trade.n)
            assert [one.id for one in happened] == list(range(trade.id, trade.id + trade.n))
            assert {(one.time_us, not one.buyer_is_maker) for one in happened} == {(trade.time, trade.taker_buy)}
            if trade.n == 1:
                assert _same(happened[0].price, trade, trades.price_scale)
                assert float(happened[0].quantity) == trade.quantity / 10**trades.quantity_scale

    async def catch_up(self) -> None:
        """Wait until a trade that happened after this call has arrived for every symbol."""
        newest = {symbol: market.trades[-1].id for symbol, market in self.server.markets.items()}
        await until(lambda: all(max(self.received[symbol], default=0) > newest[symbol] for symbol in newest))

    def missing(self, symbol: str) -> list[int]:
        """Return the missing ids between the first and the last received."""
        received = set(self.received[symbol])
        return [trade_id for trade_id in range(min(received), max(received)) if trade_id not in received]

    async def fill(self) -> None:
        """Fetch the missing trades from the history, hole by hole."""
        for symbol in list(self.received):
            while missing := self.missing(symbol):
                first = last = missing[0]
                while last + 1 in missing:
                    last += 1
                page = await self.exchange.history(symbol, first, last)
                assert page is not None
                self.compare(symbol, page)
                self.received[symbol] += page.all_ids()


def _same(text: str, trade: Trade, scale: int) -> bool:
    return to_text(trade.price, scale) == text.rstrip("0").rstrip(".")


@contextlib.asynccontextmanager
async def listening(
    server: BinanceServer, symbols: Sequence[str], timing: Timing = IMPATIENT
) -> AsyncIterator[Listener]:
    """Read a feed until the end of the block."""
    exchange = Binance(Budget(limit=60_000), ws_url=server.ws_url, rest_url=server.rest_url, timing=timing)
    listener = Listener(server, exchange)

    async def read() -> None:
        async with contextlib.aclosing(exchange.feed(symbols)) as feed:
            async for event in feed:
                listener.receive(event)

    reading = asyncio.create_task(read())
    try:
        yield listener
        assert not reading.done(), "the feed has ended"
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        await exchange.close()
