"""Sources of trades: a recording, or an endless generator."""

import csv
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import NamedTuple

from marketstream.exchanges.replay.exchange import symbol_of


class ServerTrade(NamedTuple):
    """A trade as the exchange stores it: amounts as text with eight places, time in Unix µs."""

    id: int
    time_us: int
    price: str
    quantity: str
    buyer_is_maker: bool


def recorded(path: Path) -> tuple[str, list[ServerTrade]]:
    """Return the symbol and the trades of a public dump of Binance with times in µs."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    trades = [ServerTrade(int(row[0]), int(row[4]), row[1], row[2], row[5] == "True") for row in rows]
    return symbol_of(path), trades


def generated(symbol: str, seed: int, start_us: int, trades_per_second: float) -> Iterator[ServerTrade]:
    """Yield trades from `start_us` (Unix µs) on, without end; the same trades for the same arguments.

    A taker order meets one to six makers, at one or two prices. Its trades at one price form an aggregate.
    """
    rng = Random(f"{seed}:{symbol}")
    trade_id = rng.randrange(1_000_000, 900_000_000)
    cents = rng.randrange(100_000, 5_000_000)
    time_us = start_us
    while True:
        makers = rng.choice((1, 1, 1, 2, 2, 3, 4, 6))
        # The mean of the choice above is 2.5 trades per order.
        time_us += max(1, int(rng.expovariate(trades_per_second / 2.5) * 1_000_000))
        buyer_is_maker = rng.random() < 0.5
        cents = max(100, cents + rng.randint(-3, 3))
        split = rng.randint(1, makers)
        for maker in range(makers):
            beyond = (-1 if buyer_is_maker else 1) if maker >= split else 0
            price = f"{Decimal(cents + beyond).scaleb(-2):.8f}"
            quantity = f"{Decimal(rng.randint(1, 500_000)).scaleb(-5):.8f}"
            yield ServerTrade(trade_id, time_us, price, quantity, buyer_is_maker)
            trade_id += 1
