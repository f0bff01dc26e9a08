"""The simulated market: the trades of a symbol as a pure function of seed, symbol and time.

Time is divided into blocks of equal length, each with the same number of trades. Hence the ids of any block, and the
block of any id or time, follow by arithmetic, without generating everything from the beginning. Within a block, trades
come in bursts. The price is a sum of octaves of smooth noise, each a function of time alone, so that charts look alike
on every interval from seconds to days.
"""

import math
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Final

from marketstream.market.trade import Trades

EPOCH_US: Final = 1_577_836_800_000_000
"""2020-01-01, Unix µs. The trade with id 0 is the first trade at or after this time."""

_BLOCK_TRADES: Final = 600
_SHORTEST_BLOCK_S: Final = 1.0
_LONGEST_BLOCK_S: Final = 600.0

# Octaves of 8 s to 3 days. Their amplitudes grow with the square root of the period, as in a random walk.
_PERIODS_US: Final = tuple(8_000_000 << octave for octave in range(16))
_DAY_US: Final = 86_400_000_000
_DAILY_MOVE: Final = 0.02
_KNOTS: Final = 64
_SEGMENTS: Final = 32

_MASK: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Market:
    """The fixed properties of a symbol: a typical price, the scales of prices and quantities, and the trade rate."""

    price: float
    price_scale: int
    quantity_scale: int
    trades_per_second: float


KNOWN: Final = {
    "BTCUSDT": Market(64_000.0, 2, 5, 20.0),
    "ETHUSDT": Market(3_100.0, 2, 4, 12.0),
    "SOLUSDT": Market(150.0, 2, 3, 6.0),
    "BNBUSDT": Market(590.0, 2, 3, 3.0),
    "XRPUSDT": Market(0.52, 4, 0, 4.0),
    "DOGEUSDT": Market(0.12, 5, 0, 2.0),
    "ADAUSDT": Market(0.45, 4, 1, 1.0),
    "LTCUSDT": Market(82.0, 2, 3, 0.2),
    "XMRUSDT": Market(165.0, 2, 3, 0.05),
}
"""Symbols with realistic prices and rates. XMRUSDT and LTCUSDT leave whole 10 s windows without a trade."""

_RATES: Final = (8.0, 2.0, 0.5, 0.05)


def market_of(symbol: str) -> Market:
    """Return the market of a symbol. An unknown symbol gets a price and a rate from a hash of its name."""
    if symbol in KNOWN:
        return KNOWN[symbol]
    rng = Random(mix(zlib.crc32(symbol.encode())))
    magnitude = rng.uniform(-2.0, 3.5)
    return Market(
        price=10.0**magnitude,
        price_scale=min(8, max(2, math.ceil(5 - magnitude))),
        quantity_scale=max(0, math.ceil(magnitude)),
        trades_per_second=_RATES[int(rng.random() * len(_RATES))],
    )


def mix(number: int) -> int:
    """Return 64 bits, each of which depends on every bit of `number`.

    This is the finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    """
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)


class MarketModel:
    """The trades of one symbol. All times are Unix µs. Instances with the same arguments give the same trades."""

    def __init__(self, seed: int, symbol: str, trades_per_second: float | None = None) -> None:
        self.symbol = symbol
        self._market = market_of(symbol)
        rate = trades_per_second or self._market.trades_per_second
        seconds = min(_LONGEST_BLOCK_S, max(_SHORTEST_BLOCK_S, _BLOCK_TRADES / rate))
        self._block_us = round(seconds * 1_000_000)
        self._size = max(1, round(rate * seconds))
        self._key = mix(mix(seed) ^ zlib.crc32(symbol.encode()))
        self._block = lru_cache(maxsize=4)(self._generate)

    def first_id_from(self, time_us: int) -> int:
        """Return the id of the first trade at or after a time."""
        if time_us <= EPOCH_US:
            return 0
        index = (time_us - EPOCH_US) // self._block_us
        return index * self._size + bisect_left(self._block(index).times, time_us)

    def time_of(self, id_: int) -> int:
        """Return the time of the trade with this id."""
        index, position = divmod(id_, self._size)
        return self._block(index).times[position]

    def page(self, first_id: int, last_id: int) -> Trades:
        """Return the trades with ids from `first_id` to `last_id` that lie in the block of `first_id`."""
        index, start = divmod(first_id, self._size)
        return self._block(index).cut(start, min(self._size, start + last_id - first_id + 1))

    def between(self, from_us: int, to_us: int) -> Iterator[Trades]:
        """Yield all trades at or after `from_us` and before `to_us`, in pages."""
        first_id, end_id = self.first_id_from(from_us), self.first_id_from(to_us)
        while first_id < end_id:
            page = self.page(first_id, end_id - 1)
            yield page
            first_id += len(page)

    def _generate(self, index: int) -> Trades:
        rng = Random(mix(self._key ^ index))
        random, market = rng.random, self._market
        fractions = _moments(rng, self._size)
        knots = min(_KNOTS, self._size)
        path = self._ticks(index, knots)
        spread = max(0.5, path[0] * 0.000_003)
        # A typical trade is worth some 60 of the quote currency, and the largest of many thousands of times more (a
        # Pareto distribution).
        lots = 60.0 / market.price * 10.0**market.quantity_scale
        largest = 5_000.0 * lots
        prices, quantities, sides = [], [], bytearray()
        for fraction in fractions:
            at = fraction * knots
            knot = int(at)
            left, right = path[knot], path[knot + 1]
            buy = random() < (0.53 if right > left else 0.47)
            offset = spread * (1.0 + random())
            price = round(left + (right - left) * (at - knot) + (offset if buy else -offset))
            prices.append(price if price > 0 else 1)
            quantities.append(max(1, int(min(largest, lots * (1.0 - random()) ** -0.75))))
            sides.append(buy)
        start_us, block_us = EPOCH_US + index * self._block_us, self._block_us
        times = [start_us + int(fraction * block_us) for fraction in fractions]
        return Trades(
            market.price_scale, market.quantity_scale, index * self._size, times, prices, quantities, bytes(sides)
        )

    def _ticks(self, index: int, knots: int) -> list[float]:
        """Return the mid price in ticks at `knots` + 1 equidistant times, from the beginning of a block to its end."""
        start_us, unit = EPOCH_US + index * self._block_us, self._market.price * 10.0**self._market.price_scale
        return [
            unit * math.exp(self._log_price(start_us + knot * self._block_us // knots)) for knot in range(knots + 1)
        ]

    def _log_price(self, at_us: int) -> float:
        total = 0.0
        for octave, period in enumerate(_PERIODS_US):
            index, into = divmod(at_us, period)
            x = into / period
            left, right = self._lattice(octave, index), self._lattice(octave, index + 1)
            total += math.sqrt(period / _DAY_US) * (left + (right - left) * x * x * (3.0 - 2.0 * x))
        return _DAILY_MOVE * total

    def _lattice(self, octave: int, index: int) -> float:
        """Return the noise at a lattice point, from -1 to 1."""
        return mix(self._key ^ mix(octave << 56 ^ index)) / 2**63 - 1.0


def _moments(rng: Random, count: int) -> list[float]:
    """Return `count` sorted moments in [0, 1), distributed unevenly: a few segments hold most of the moments."""
    random = rng.random
    ends, total = [], 0.0
    for _ in range(_SEGMENTS):
        total += (1.0 - random()) ** -0.8
        ends.append(total)
    moments, segment, begin = [], 0, 0.0
    for mark in sorted([random() * total for _ in range(count)]):
        while mark >= ends[segment]:
            begin = ends[segment]
            segment += 1
        moments.append((segment + (mark - begin) / (ends[segment] - begin)) / _SEGMENTS)
    # Rounding may yield 1.0, which belongs to the next block.
    return [min(moment, 0.999_999_9) for moment in moments]
