"""An exchange that needs no network: plausible trades of any symbol, as a pure function of seed and time.

After a restart, the simulator continues where it was. Its history can be queried like that of a real exchange.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Final

from marketstream.exchanges.base import ClockAdvanced, Newest, TradesReceived
from marketstream.exchanges.clock import Now, Sleep, now_us
from marketstream.exchanges.errors import UnknownSymbolError
from marketstream.exchanges.simulator.market_model import MarketModel
from marketstream.market.trade import Trades
from marketstream.symbols import is_spelled

CLOCK_US: Final = 250_000
"""µs between two ClockAdvanced events of the feed."""

BATCH_US: Final = 5_000
"""Minimum sleep of the feed, in µs: the trades of a burst arrive together, as from a socket."""

_SYMBOL: Final = re.compile(r"(?=.{2,20}$)[A-Z0-9]+")


class _Cursor:
    """The position of a feed within one symbol."""

    def __init__(self, model: MarketModel, position_us: int) -> None:
        self._model = model
        self._position_us = position_us
        self.symbol = model.symbol
        self.next_us = model.time_of(model.first_id_from(position_us))

    def advance(self, to_us: int) -> Iterator[Trades]:
        """Yield the trades since the last call that happened before `to_us`."""
        if self.next_us >= to_us:
            return
        yield from self._model.between(self._position_us, to_us)
        self._position_us = to_us
        self.next_us = self._model.time_of(self._model.first_id_from(to_us))


class Simulator:
    """Trades of every symbol spelled like BTCUSDT, from 2020 until now.

    `trades_per_second` replaces the usual rate of each symbol. Like the seed, it selects a different history.
    """

    name: Final = "simulator"

    def __init__(
        self,
        seed: int,
        *,
        trades_per_second: float | None = None,
        now: Now = now_us,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._seed = seed
        self._rate = trades_per_second
        self._now = now
        self._sleep = sleep
        self._models: dict[str, MarketModel] = {}

    async def check(self, symbols: Sequence[str]) -> None:
        """Raise UnknownSymbolError, naming the symbols, if some are not spelled like a symbol."""
        self._expect(symbols)

    async def feed(self, symbols: Sequence[str]) -> AsyncGenerator[TradesReceived | ClockAdvanced, None]:
        """Yield the events from now on, in real time, forever."""
        self._expect(symbols)
        start = self._now()
        cursors = [_Cursor(self._model(symbol), start) for symbol in symbols]
        clock_due = start
        while True:
            now = self._now()
            for cursor in cursors:
                for trades in cursor.advance(now):
                    yield TradesReceived(cursor.symbol, trades, trades.times[-1], now)
            if now >= clock_due:
                for cursor in cursors:
                    yield ClockAdvanced(cursor.symbol, now)
                clock_due = now + CLOCK_US
            wake = min(clock_due, *(cursor.next_us + 1 for cursor in cursors))
            await self._sleep(max(BATCH_US, wake - self._now()) / 1_000_000)

    async def history(self, symbol: str, first_id: int, last_id: int, **_hints: int | None) -> Trades | None:
        """Return a page of the trades that have happened by now. A page needs no more than one block of the model."""
        self._expect((symbol,))
        model = self._model(symbol)
        first_id, last_id = max(first_id, 0), min(last_id, model.first_id_from(self._now()) - 1)
        return model.page(first_id, last_id) if first_id <= last_id else None

    async def newest(self, symbol: str) -> Newest | None:
        """Return the last trade that has happened by now."""
        self._expect((symbol,))
        model, now = self._model(symbol), self._now()
        newest = model.first_id_from(now) - 1
        return Newest(newest, now) if newest >= 0 else None

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    def _expect(self, symbols: Sequence[str]) -> None:
        unknown = [symbol for symbol in symbols if not is_spelled(symbol, _SYMBOL)]
        if unknown:
            raise UnknownSymbolError(
                f"the simulator has no symbol {', '.join(map(repr, unknown))}: "
                "expected 2 to 20 capital letters and digits, such as BTCUSDT",
                unknown,
            )

    def _model(self, symbol: str) -> MarketModel:
        if symbol not in self._models:
            self._models[symbol] = MarketModel(self._seed, symbol, self._rate)
        return self._models[symbol]
