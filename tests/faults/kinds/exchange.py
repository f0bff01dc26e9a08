"""The exchange of the kinds of faults: a fake Binance whose time runs fast.

Its ticks may become finer, and its ids may begin again.
"""

import time
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from tests.harness.binance.clock import ExchangeClock
from tests.harness.binance.limits import Limits
from tests.harness.binance.market import Market
from tests.harness.binance.rest import Answer
from tests.harness.binance.server import BinanceServer
from tests.harness.binance.sources import ServerTrade, generated

NAME: Final = "binance"
SPEED: Final = 5
"""Exchange seconds per second: a window takes two seconds."""

RATES: Final = {"BTCUSDT": 20.0, "ETHUSDT": 4.0, "XMRUSDT": 0.5}
"""Trades per exchange second; the last symbol leaves some windows empty."""

PAST_S: Final = 300
BEHIND_S: Final = 1800
"""Seconds by which the exchange's time is behind ours at the start: a part of the run ends as far ahead at most."""

WEIGHT: Final = 600_000
"""Request weight a minute: the pages of these tests are small."""

_PLACES: Final = 2


class ChangingMarket(Market):
    """A market whose prices get more decimal places with `refine`, and whose ids begin again with `begin_again`."""

    def __init__(self, symbol: str, source: Iterable[ServerTrade]) -> None:
        self._places = _PLACES
        self._shift = self._pause_us = 0
        self.past: list[tuple[list[ServerTrade], int]] = []
        """The trades of earlier generations, which the exchange has forgotten, each with the time of its end."""
        super().__init__(symbol, self._changed(source))

    def refine(self) -> None:
        """Make the tick ten times finer, from the next trades on. Eight places are the finest."""
        if self._places < 8:
            self._places += 1
            self.tick = f"{Decimal(1).scaleb(-self._places):.8f}"

    def begin_again(self, first_id: int, pause_us: int, now_us: int) -> None:
        """Forget all trades, and let the ids begin again at `first_id` after a pause (µs)."""
        assert self._next is not None
        self.past.append((self.trades, now_us))
        self.trades, self.aggregates = [], []
        self._shift += first_id - self._next.id
        self._pause_us += pause_us
        self._next = self._next._replace(id=first_id, time_us=self._next.time_us + pause_us)
        self.next_us = self._next.time_us

    def _changed(self, source: Iterable[ServerTrade]) -> Iterator[ServerTrade]:
        """Yield the trades with further digits. Trades of one order at one price keep a price in common."""
        for trade in source:
            finer = trade.time_us % 10 ** (self._places - _PLACES)
            price = Decimal(trade.price) + Decimal(finer).scaleb(-self._places)
            yield trade._replace(
                id=trade.id + self._shift, time_us=trade.time_us + self._pause_us, price=f"{price:.8f}"
            )


def exchange(seed: int) -> BinanceServer:
    """Return a fake Binance with the symbols of RATES; it runs from `start` to `stop`."""
    start_us = time.time_ns() // 1000 - BEHIND_S * 1_000_000
    server = BinanceServer({}, ExchangeClock(start_us, SPEED), limits=Limits(WEIGHT))
    for symbol, rate in RATES.items():
        server.markets[symbol] = ChangingMarket(symbol, generated(symbol, seed, start_us - PAST_S * 1_000_000, rate))
    return server


_HTML: Final = "<html><body>Service temporarily unavailable</body></html>"

REFUSALS: Final = {
    "400": Answer(400, {}, '{"code": -1100, "msg": "Illegal characters found in a parameter."}'),
    "401": Answer(401, {}, '{"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}'),
    "404": Answer(404, {}, _HTML),
    "451": Answer(451, {}, '{"code": 0, "msg": "Service unavailable from a restricted location."}'),
    "-1001": Answer(400, {}, '{"code": -1001, "msg": "Internal error; unable to process your request."}'),
    "-1008": Answer(400, {}, '{"code": -1008, "msg": "Server is currently overloaded."}'),
    "empty list": Answer(200, {}, "[]"),
    "nothing": Answer(200, {}, ""),
    "HTML": Answer(200, {}, _HTML),
}
"""Answers that refuse a request, or that hold nothing."""
