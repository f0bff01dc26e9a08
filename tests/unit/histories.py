"""Random trades of a market as records, and the comparable content of candles and stores."""

import random
from collections.abc import Sequence
from typing import Any

from marketstream.market.candle import Candle
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_US

from tests.harness.model import MemoryStore
from tests.harness.scenarios import EPOCH, PRICE_SCALE, QUANTITY_SCALE


def history(rng: random.Random, size: int) -> list[Trade]:
    """Return trades with consecutive ids and times in the order of the ids, a few windows long."""
    time, trades = EPOCH + rng.randrange(WINDOW_US), []
    for trade_id in range(1_000, 1_000 + size):
        time += rng.choice((0, 1, 50_000, 400_000, 2_000_000))
        trades.append(Trade(trade_id, 1, time, rng.randrange(1, 10**6), rng.randrange(10**7), rng.random() < 0.5))
    return trades


def split(rng: random.Random, trades: Sequence[Trade], sizes: Sequence[int]) -> list[Trades]:
    """Return the trades as records of random sizes."""
    records, start = [], 0
    while start < len(trades):
        end = start + rng.choice(sizes)
        records.append(Trades.of(trades[start:end], PRICE_SCALE, QUANTITY_SCALE))
        start = end
    return records


def fields(candle: Candle) -> dict[str, Any]:
    return {name: getattr(candle, name) for name in candle.__slots__}


def stored(store: MemoryStore) -> tuple[Any, ...]:
    """Return the whole content of a store of commits, as a value that can be compared."""
    progress = store.progress
    counted = [(run.low, run.high, run.low_time, run.high_time) for run in progress.counted]
    candles = {window: fields(candle) for window, candle in store.candles.items()}
    return candles, store.reasons, store.empty, counted, progress.closed_until, progress.position, progress.settled_id
