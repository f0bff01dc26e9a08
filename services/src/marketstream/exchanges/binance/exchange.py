"""Binance spot behind the contract of base.py."""

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
from marketstream.exchanges.errors import ExchangeError, FeedError, HistoryUnavailableError, UnknownSymbolError
from marketstream.market.errors import NumberError
from marketstream.market.trade import Trades
from marketstream.redis.budget import Budget
from marketstream.telemetry import logger

log = logger(__name__)

WS_URL: Final = "wss://stream.binance.com:9443"
REST_URL: Final = "https://api.binance.com"

QUESTIONS: Final = 0.5
"""Part of the request weight that may be spent on asking what is newest. The rest is left to the history: many quiet
symbols must not keep a hole waiting. It is enough for 300 of them, each asked twice a minute."""


class Binance:
    """Live trades of Binance spot and their history. Trade ids follow each other without a gap, symbol by symbol."""

    name: Final = "binance"

    def __init__(
        self, budget: Budget, *, ws_url: str = WS_URL, rest_url: str = REST_URL, timing: Timing | None = None
    ) -> None:
        """`ws_url` and `rest_url` are scheme, host and port. The budget is closed with the exchange."""
        self._timing = timing or Timing()
        self._ws_url = ws_url.rstrip("/")
        self._rest = Rest(rest_url.rstrip("/"), budget, self._timing)
        self._questions = Rest(rest_url.rstrip("/"), budget.part("questions", QUESTIONS), self._timing)
        self._scales: dict[str, Scales] = {}

    async def check(self, symbols: Sequence[str]) -> None:
        """Raises UnknownSymbolError, naming them, when the exchange does not list all `symbols`; warns of those that
        cannot be traded at the moment."""
        found = await endpoints.listed(self._rest, symbols)
        unknown = [symbol for symbol in symbols if symbol not in found]
        if unknown:
            raise UnknownSymbolError(
                f"Binance does not list {', '.join(unknown)}: expected symbols such as BTCUSDT, in capitals"
            )
        resting = {symbol: entry.status for symbol, entry in found.items() if entry.status != "TRADING"}
        if resting:
            log.warning("symbols that are not traded now", symbols=resting)
        for symbol, entry in found.items():
            self._scales.setdefault(symbol, _scales(entry))

    async def feed(self, symbols: Sequence[str]) -> AsyncGenerator[FeedEvent, None]:
        """What happens from now on. Never ends; lost connections are made again.

        A reader that falls behind by more than the feed holds loses trades, which are in the history.
        """
        try:
            await self._learn(symbols)
        except UnknownSymbolError:
            raise
        except ExchangeError as error:
            raise FeedError(f"the feed cannot begin: {error}") from error
        newest_ids = partial(endpoints.newest_ids, self._rest)
        feed = BinanceFeed(self._ws_url, symbols, self._scales, newest_ids, self._timing)
        async with contextlib.aclosing(feed.events()) as events:
            async for event in events:
                yield event

    async def history(
        self, symbol: str, first_id: int, last_id: int, *, after_us: int | None = None, before_us: int | None = None
    ) -> Trades | None:
        """A page of the trades with ids from `first_id` to `last_id`, from `first_id` on, in order; an entry may stand
        for several trades. None where the exchange has none of them.

        `after_us` and `before_us`, the times (Unix µs) of the trades around, make large holes cheaper. Raises
        RateLimitedError, HistoryUnavailableError or RequestRefusedError.
        """
        await self._learn((symbol,))
        return await page_of_hole(self._rest, symbol, self._scales[symbol], first_id, last_id, after_us, before_us)

    async def newest(self, symbol: str) -> Newest | None:
        """The newest trade, or None when there never was one."""
        # The time is asked first: the answer that follows holds whatever had happened by then, but for what the answer
        # lags. So it is asked for where Binance answers from memory, as the ticker is, and as the newest trades are for
        # ten times the weight. Aggregates would be cheap as well, but they come from its database, which may lag more
        # (REST API: Data Sources): to prove that a market is quiet, dated seconds back, they are not good enough.
        at_us = await endpoints.server_time_us(self._questions)
        newest_id = await endpoints.newest_id(self._questions, symbol)
        return Newest(newest_id, at_us) if newest_id is not None else None

    async def close(self) -> None:
        """Ends the connections of the history and of the budget; a feed is ended by closing it."""
        await self._questions.close()
        await self._rest.close()

    async def _learn(self, symbols: Sequence[str]) -> None:
        if any(symbol not in self._scales for symbol in symbols):
            await self.check(symbols)


def _scales(entry: Listed) -> Scales:
    """Those of the smallest steps of price and quantity."""
    steps = {filter_.kind: filter_.tick or filter_.step for filter_ in entry.filters}
    try:
        return Scales(Scale.of_step(steps.get("PRICE_FILTER", "1")), Scale.of_step(steps.get("LOT_SIZE", "1")))
    except NumberError as error:
        raise HistoryUnavailableError(f"the filters of {entry.symbol} make no sense: {error}") from error
