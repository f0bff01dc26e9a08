"""An exchange on which all goes wrong that can, in time that runs fast.

The trades, and how often and how late the feed brings each, are a pure function of seed, symbol and id. Which instant
is now follows the wall clock, so a producer that was killed goes on at the present and has missed what was between.
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
"""The exchange's time when a run begins: 2021-01-08 23:20, so that a run of a minute sees a new hour and a new day."""

SPEED: Final = 60
"""Exchange seconds in a second: a window of 10 s takes 167 ms."""

RATES: Final = {"BTCUSDT": 1.0, "ETHUSDT": 0.4, "SOLUSDT": 0.15, "XMRUSDT": 0.03}
"""Trades in an exchange second; the last leaves most windows empty."""

GRACE_US: Final = 5_000_000
"""For which a window should wait: the usual disorder stays within it."""

DISORDER_US: Final = 4_000_000
LATEST_US: Final = 40_000_000
PAGE: Final = 50
TICK_S: Final = 0.02


class UnreliableExchange:
    """Drops, repeats, delays and shuffles trades on the feed; its history holds them all. `began_us` is the wall clock
    (Unix µs) at START_US."""

    name: Final = NAME

    def __init__(self, seed: int, began_us: int) -> None:
        self.seed = seed
        self.began_us = began_us
        self._models = {symbol: MarketModel(seed, symbol, rate) for symbol, rate in RATES.items()}

    def now(self) -> int:
        """The exchange's time, Unix µs."""
        return START_US + (now_us() - self.began_us) * SPEED

    def first_id_from(self, symbol: str, time_us: int) -> int:
        """The id of the first trade at or after a time."""
        return self._models[symbol].first_id_from(time_us)

    def trades(self, symbol: str, first_id: int, last_id: int) -> list[Trade]:
        """All trades with these ids, whether they have happened yet or not."""
        trades: list[Trade] = []
        while first_id <= last_id:
            page = self._models[symbol].page(first_id, last_id)
            trades += page
            first_id += len(page)
        return trades

    def scales(self, symbol: str) -> tuple[int, int]:
        """The scales of the symbol's prices and quantities."""
        page = self._models[symbol].page(0, 0)
        return page.price_scale, page.quantity_scale

    def delays(self, symbol: str, trade: Trade) -> tuple[int, ...]:
        """How long after it happened the feed brings a trade, each time it does, in µs of the exchange."""
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
        """It lists everything."""

    async def feed(self, symbols: Sequence[str]) -> AsyncGenerator[TradesReceived | ClockAdvanced, None]:
        """What happens from now on. Never ends; a reader that was stopped hears afterwards what it slept through."""
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
        """A page of the trades that have happened."""
        last_id = min(last_id, first_id + PAGE - 1, self.first_id_from(symbol, self.now()) - 1)
        return Trades.of(self.trades(symbol, first_id, last_id), *self.scales(symbol)) if first_id <= last_id else None

    async def newest(self, symbol: str) -> Newest | None:
        """The last trade that has happened."""
        now = self.now()
        (trade,) = self.trades(symbol, *[self.first_id_from(symbol, now) - 1] * 2)
        return Newest(trade.id, now)

    async def close(self) -> None:
        """Nothing is held open."""

    def _between(self, symbol: str, from_us: int, to_us: int) -> Iterator[Trade]:
        for page in self._models[symbol].between(from_us, to_us):
            yield from page

    def _batches(self, rng: Random, symbol: str, queue: list[tuple[int, Trade]], now: int) -> Iterator[Trades]:
        """What is due, in messages of a few trades, some with more digits than needed."""
        while queue and queue[0][0] <= now:
            batch: list[Trade] = []
            most = rng.choice((1, 3, 20))
            while queue and queue[0][0] <= now and len(batch) < most:
                batch.append(heappop(queue)[1])
            price_scale, quantity_scale = self.scales(symbol)
            trades = Trades.of(batch, price_scale, quantity_scale)
            yield rescaled(trades, price_scale + (rng.random() < 0.1), quantity_scale + (rng.random() < 0.1))
