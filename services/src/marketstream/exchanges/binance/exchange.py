"""Binance spot, behind the contract of base.py."""

import contextlib
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Final

from marketstream.exchanges.base import FeedEvent, Newest
from marketstream.exchanges.binance import endpoints
from marketstream.exchanges.binance.endpoints import Listed
from marketstream.exchanges.binance.feed import BinanceFeed
from marketstream.exchanges.binance.history import page_of_hole
from marketstream.exchanges.binance.rest import Rest
from marketstream.exchanges.binance.scales import Scale, Scales
from marketstream.exchanges.binance.timing import Timing
from marketstream.exchanges.errors import (
    ExchangeError,
    FeedError,
    HistoryUnavailableError,
    RequestRefusedError,
    UnknownSymbolError,
)
from marketstream.market.errors import NumberError
from marketstream.market.trade import Trades
from marketstream.redis.budget import Budget
from marketstream.telemetry import logger

log = logger(__name__)

WS_URL: Final = "wss://stream.binance.com:9443"
REST_URL: Final = "https://api.binance.com"

NEWEST_SHARE: Final = 0.5
"""Share of the request weight that queries for the newest trades may spend.

The rest is left to the history, so that many quiet symbols do not delay a hole. The share is enough for 300 quiet
symbols, each queried twice a minute.
"""


ATTEMPTS_ALONE: Final = 0.05
"""Part of the attempts to connect that a process makes while Redis is unavailable: enough for 20 processes."""


class Binance:
    """Live trades of Binance spot, and their history. The trade ids of each symbol are consecutive."""

    name: Final = "binance"

    def __init__(
        self, budget: Budget, *, ws_url: str = WS_URL, rest_url: str = REST_URL, timing: Timing | None = None
    ) -> None:
        """Use the addresses `ws_url` and `rest_url` (scheme, host and port). `close` also closes the budget."""
        self._timing = timing or Timing()
        self._ws_url = ws_url.rstrip("/")
        self._rest = Rest(rest_url.rstrip("/"), budget, self._timing)
        self._newest_rest = Rest(rest_url.rstrip("/"), budget.part("questions", NEWEST_SHARE), self._timing)
        self._attempts = budget.beside(
            "connections", limit=self._timing.attempts, period_s=self._timing.attempts_s, alone=ATTEMPTS_ALONE
        )
        self._scales: dict[str, Scales] = {}

    async def check(self, symbols: Sequence[str]) -> None:
        """Raise UnknownSymbolError with the symbols that Binance does not list, if there are any.

        Logs a warning for symbols whose trading is suspended.
        """
        found = await endpoints.listed(self._rest, symbols)
        suspended = {symbol: entry.status for symbol, entry in found.items() if entry.status != "TRADING"}
        if suspended:
            log.warning("trading of symbols suspended by the exchange", symbols=suspended)
        for symbol, entry in found.items():
            self._scales.setdefault(symbol, _scales(entry))
        if unknown := [symbol for symbol in symbols if symbol not in found]:
            raise _unknown(unknown)

    async def feed(self, symbols: Sequence[str]) -> AsyncGenerator[FeedEvent, None]:
        """Yield the events from now on, forever; lost connections are reopened.

        A reader that falls too far behind loses trades, which remain in the history.
        """
        try:
            await self._learn(symbols)
        except UnknownSymbolError:
            raise
        except ExchangeError as error:
            raise FeedError(f"cannot start the feed: {error}") from error
        newest_ids = partial(endpoints.newest_ids, self._rest)
        feed = BinanceFeed(self._ws_url, symbols, self._scales, newest_ids, self._timing, attempts=self._attempts)
        async with contextlib.aclosing(feed.events()) as events:
            async for event in events:
                yield event

    async def history(
        self, symbol: str, first_id: int, last_id: int, *, after_us: int | None = None, before_us: int | None = None
    ) -> Trades | None:
        """Return a page of the trades with ids from `first_id` to `last_id`, in order, or None if Binance has none.

        An entry may stand for several trades. `after_us` and `before_us` are the times (Unix µs) of the surrounding
        trades; they make large holes cheaper.

        Raises RateLimitedError, HistoryUnavailableError or RequestRefusedError.
        """
        await self._learn((symbol,))
        return await page_of_hole(self._rest, symbol, self._scales[symbol], first_id, last_id, after_us, before_us)

    async def newest(self, symbol: str) -> Newest | None:
        """Return the newest trade, or None if there never was one."""
        # Query the time first: the answer that follows then covers all trades until that time, except for its own lag.
        # Hence the query goes to a source that Binance keeps in memory: the ticker, or the newest trades for ten times
        # the weight. Aggregates would be cheap as well, but they come from the database, which may lag more (REST API:
        # Data Sources). They are not good enough to prove that a market was quiet until a few seconds ago.
        at_us = await endpoints.server_time_us(self._newest_rest)
        try:
            newest_id = await endpoints.newest_id(self._newest_rest, symbol)
        except RequestRefusedError as error:
            if endpoints.is_unlisted(error):
                raise _unknown((symbol,)) from error
            raise
        return Newest(newest_id, at_us) if newest_id is not None else None

    async def close(self) -> None:
        """Close the connections of the history and of the budget. A feed ends when its caller closes it."""
        await self._newest_rest.close()
        await self._rest.close()

    async def _learn(self, symbols: Sequence[str]) -> None:
        if any(symbol not in self._scales for symbol in symbols):
            await self.check(symbols)


def _unknown(symbols: Sequence[str]) -> UnknownSymbolError:
    return UnknownSymbolError(
        f"Binance does not list {', '.join(symbols)}: expected symbols such as BTCUSDT, in capital letters", symbols
    )


def _scales(entry: Listed) -> Scales:
    """Return the scales of the smallest steps of price and quantity."""
    steps = {filter_.kind: filter_.tick or filter_.step for filter_ in entry.filters}
    try:
        return Scales(Scale.of_step(steps.get("PRICE_FILTER", "1")), Scale.of_step(steps.get("LOT_SIZE", "1")))
    except NumberError as error:
        raise HistoryUnavailableError(f"Binance sent invalid filters of {entry.symbol}: {error}") from error
