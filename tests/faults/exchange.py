"""An exchange with an unreliable feed, in fast time.

The trades, and the number and delay of each trade's appearances in the feed, are a pure function of seed, symbol and
id. The current time follows the wall clock, so a producer that was killed resumes at the present and has missed the
trades in between.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from heapq import heappop, heappush
from random import Random
from typing import Final

from marketstream.exchanges.base import ClockAdvanced, Newest, TradesReceived
from marketstream.exchanges.clock import now_us
from marketstream.exchanges.simulator.market_model import MarketModel
from marketstream.market.trade import Trade, Trades

from tests.harness.amounts import rescaled

NAME: Final = "unreliable"
START_US: Final = 1_610_148_000_000_000
"""The exchange's time at the start of a run: 2021-01-08 23:20, so that a run of a minute crosses an hour and a day."""

SPEED: Final = 60
"""Exchange seconds per second: a window of 10 s takes 167 ms."""

RATES: Final = {"BTCUSDT": 1.0, "ETHUSDT": 0.4, "SOLUSDT": 0.15, "XMRUSDT": 0.03}
"""Trades per exchange second. The last rate leaves most windows empty."""

GRACE_US: Final = 5_000_000
"""The grace of the windows. The usual disorder stays within it."""

DISORDER_US: Final = 4_000_000
LATEST_US: Final = 40_000_000
PAGE: Final = 50
TICK_S: Final = 0.02


class UnreliableExchange:
    """An exchange whose feed drops, repeats, delays and shuffles trades. Its history has all of them.

    `began_us` is the wall clock (Unix µs) at START_US.
    """

    name: Final = NAME

    def __init__(self, seed: int, began_us: int) -> None:
        self.seed = seed
        self.began_us = began_us
        self._models = {symbol: MarketModel(seed, symbol, rate) for symbol, rate in RATES.items()}

    def now(self) -> int:
        """Return the exchange's time in Unix µs."""
        return START_US + (now_us() - self.began_us) * SPEED

    def first_id_from(self, symbol: str, time_us: int) -> int:
        """Return the id of the first trade at or after a time (Unix µs)."""
        return self._models[symbol].first_id_from(time_us)

    def trades(self, symbol: str, first_id: int, last_id: int) -> list[Trade]:
        """Return all trades with these ids, including those still to come."""
        trades: list[Trade] = []
        while first_id <= last_id:
            page = self._models[symbol].page(first_id, last_id)
            trades += page
            first_id += len(page)
        return trades

    def scales(self, symbol: str) -> tuple[int, int]:
        """Return the scales of the symbol's prices and quantities."""
        page = self._models[symbol].page(0, 0)
        return page.price_scale, page.quantity_scale

    def delays(self, symbol: str, trade: Trade) -> tuple[int, ...]:
        """Return the delay of each appearance of a trade in the feed, in exchange µs: none, one or two."""
        rng = Random(f"{self.seed} {symbol} {trade.id}")
        fate = rng.random()
        disorderly = Random(f"{self.seed} {symbol} {trade.time // 60_000_000}").random() < 0.5
        usual = rng.randrange(DISORDER_US) if disorderly else 0
        if fate < 0.03:
            return ()
        if fate < 0.06:
            return (rng.randrange(GRACE_US, LATEST_US),)
        if fate < 0.10:
            return usual, usual + rng.randrange(LATEST_US)
        return (usual,)

    async def check(self, symbols: Sequence[str]) -> None:
        """Accept all symbols."""

    async def feed(self, symbols: Sequence[str]) -> AsyncGenerator[TradesReceived | ClockAdvanced, None]:
        """Yield the events from now on, without end. A reader that was stopped receives the missed ones afterwards."""
        rng = Random()
        coming: dict[str, list[tuple[int, Trade]]] = {symbol: [] for symbol in symbols}
        seen_until = self.now()
        while True:
            now = self.now()
            for symbol, queue in coming.items():
                for trade in self._between(symbol, seen_until, now):
                    for delay in self.delays(symbol, trade):
                        heappush(queue, (trade.time + delay, trade))
                for trades in self._batches(rng, symbol, queue, now):
                    yield TradesReceived(symbol, trades, now, now_us())
                yield ClockAdvanced(symbol, now)
            seen_until = now
            await asyncio.sleep(TICK_S)

    async def history(
        self,
        symbol: str,
        first_id: int,
        last_id: int,
        *,
        after_us: int | None = None,  # noqa: ARG002
        before_us: int | None = None,  # noqa: ARG002
    ) -> Trades | None:
        """Return a page of the trades that have happened."""
        last_id = min(last_id, first_id + PAGE - 1, self.first_id_from(symbol, self.now()) - 1)
        return Trades.of(self.trades(symbol, first_id, last_id), *self.scales(symbol)) if first_id <= last_id else None

    async def newest(self, symbol: str) -> Newest | None:
        """Return the last trade that has happened."""
        now = self.now()
        (trade,) = self.trades(symbol, *[self.first_id_from(symbol, now) - 1] * 2)
        return Newest(trade.id, now)

    async def close(self) -> None:
        """Do nothing: the exchange holds no resources."""

    def _between(self, symbol: str, from_us: int, to_us: int) -> Iterator[Trade]:
        for page in self._models[symbol].between(from_us, to_us):
            yield from page

    def _batches(self, rng: Random, symbol: str, queue: list[tuple[int, Trade]], now: int) -> Iterator[Trades]:
        """Yield the trades that are due in small messages, some of them at larger scales than needed."""
        while queue and queue[0][0] <= now:
            batch: list[Trade] = []
            most = rng.choice((1, 3, 20))
            while queue and queue[0][0] <= now and len(batch) < most:
                batch.append(heappop(queue)[1])
            price_scale, quantity_scale = self.scales(symbol)
            trades = Trades.of(batch, price_scale, quantity_scale)
            yield rescaled(trades, price_scale + (rng.random() < 0.1), quantity_scale + (rng.random() < 0.1))
