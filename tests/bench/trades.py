"""Trades for the benchmarks: plausible, 1,000 in each window, and the same on every run."""

import random
from collections.abc import Iterator

from marketstream.codec import Heartbeat, TradesRecord, encode
from marketstream.market.trade import Trades
from marketstream.market.window import WINDOW_US

EXCHANGE = "bench"
WINDOW_TRADES = 1_000
STEP_US = WINDOW_US // WINDOW_TRADES
PRICE_SCALE, QUANTITY_SCALE = 2, 5
FIRST_ID = 3_000_000_000

# Not at the start of a window, nor a whole record after it: some records cross the edge, as in a live market.
START_US = 1_700_000_000_000_000 + 263 * STEP_US

_COLUMN = 50_000


class History:
    """Endless trades of one symbol: prices and amounts repeat, ids and times continue."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        price = 6_512_345
        self._prices: list[int] = []
        for _ in range(_COLUMN):
            price += rng.choice((-50, -1, 0, 0, 0, 1, 50))
            self._prices.append(price)
        self._quantities = [int(rng.lognormvariate(7, 2)) + 1 for _ in range(_COLUMN)]
        self._sides = bytes(rng.random() < 0.5 for _ in range(_COLUMN))
        self._jitters = [rng.randrange(STEP_US) for _ in range(_COLUMN)]

    def columns(self, first: int, size: int) -> Trades:
        """Return the trades number `first` to `first + size` (exclusive). Raises ValueError across a repetition."""
        start = first % _COLUMN
        if start + size > _COLUMN:
            raise ValueError(f"{size} trades from number {first}: a record must not cross a multiple of {_COLUMN}")
        part = slice(start, start + size)
        times = [START_US + number * STEP_US + jitter for number, jitter in enumerate(self._jitters[part], start=first)]
        return Trades(
            PRICE_SCALE, QUANTITY_SCALE, FIRST_ID + first, times,
            self._prices[part], self._quantities[part], self._sides[part],
        )  # fmt: skip


def records(symbol: str, trades: int, packing: int, seed: int = 1) -> Iterator[bytes]:
    """Yield the records of a topic: `trades` in all, `packing` in each, and a heartbeat that closes the last window."""
    history = History(seed)
    for first in range(0, trades, packing):
        columns = history.columns(first, packing)
        yield encode(TradesRecord(EXCHANGE, symbol, columns.times[-1] + 40_000, columns))
    end_us = START_US + trades * STEP_US + 3 * WINDOW_US
    yield encode(Heartbeat(EXCHANGE, symbol, end_us, end_us, FIRST_ID + trades - 1))
