"""Detection of symbols that died silently: the connection is alive and other symbols flow, but one has stopped.

A quiet symbol looks the same on the connection. Only the newest trade id from the exchange's REST API shows the
difference. The evidence is an id newer than the last one received, which a while later has still not been received.
Without such evidence, a symbol counts as quiet.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from marketstream.exchanges.base import TradesReceived
from marketstream.exchanges.binance.endpoints import is_unlisted
from marketstream.exchanges.binance.timing import Timing
from marketstream.exchanges.errors import ExchangeError, RequestRefusedError
from marketstream.telemetry import logger

log = logger(__name__)

NewestIds = Callable[[Sequence[str]], Awaitable[dict[str, int]]]
"""Returns the newest trade id of each symbol, without the symbols that have none."""


@dataclass(slots=True)
class _Watched:
    newest_id: int | None
    """The id of the newest trade that was received, or is known to be missed; None before the first."""
    traded_us: int
    """The time of the newest trade that was received, in Unix µs."""
    check_at_s: float
    """Time of the next query by the monotonic clock."""
    patience_s: float


MOST_UNLISTED_S: Final = 86_400.0
"""Maximum seconds between two queries about a symbol that the exchange says it does not list."""


class Watchdog:
    """Watches `symbols` and passes the silent ones to `on_silent`. `now_s` is any monotonic clock, in seconds."""

    def __init__(
        self,
        symbols: Iterable[str],
        newest_ids: NewestIds,
        on_silent: Callable[[Sequence[str]], None],
        timing: Timing,
        *,
        now_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._newest_ids = newest_ids
        self._on_silent = on_silent
        self._timing = timing
        self._now_s = now_s
        self._sleep = sleep
        due_s = now_s() + timing.stale_s
        self._watched = {symbol: _Watched(None, 0, due_s, timing.stale_s) for symbol in symbols}

    def observe(self, received: TradesReceived) -> None:
        """Note the trades as a sign of life of their symbol.

        The newest trade is the one of the latest time, not of the greatest id: the exchange may begin its ids again.
        Two connections that overlap deliver each trade twice, the second one after newer trades.
        """
        watched = self._watched[received.symbol]
        newest = received.trades.times[-1], received.trades.all_ids()[-1]
        if newest > (watched.traded_us, watched.newest_id or 0):
            watched.traded_us, watched.newest_id = newest
        watched.patience_s = self._timing.stale_s
        watched.check_at_s = self._now_s() + watched.patience_s

    async def run(self) -> None:
        """Check the symbols repeatedly until cancelled."""
        while True:
            await self._sleep(self._timing.stale_s / 4)
            await self.check()

    async def check(self) -> None:
        """Query the newest ids of the symbols that have been silent for long, and report the dead ones."""
        now_s = self._now_s()
        suspects = [symbol for symbol, watched in self._watched.items() if watched.check_at_s <= now_s]
        if not suspects:
            return
        for symbol in suspects:
            self._watched[symbol].check_at_s = now_s + self._watched[symbol].patience_s
        try:
            newest_ids = await self._query(suspects)
        except ExchangeError as error:
            log.warning("check of quiet symbols failed, will retry", symbols=len(suspects), error=str(error))
            return
        missed = {symbol: newest for symbol, newest in newest_ids.items() if self._is_missed(symbol, newest)}
        if not missed:
            return
        await self._sleep(self._timing.confirm_s)
        silent = [symbol for symbol, newest in missed.items() if self._is_missed(symbol, newest)]
        if silent:
            log.warning("symbols silently lost by the connection", symbols=silent[:20], count=len(silent))
            self._expect_after(silent, missed)
            self._on_silent(silent)

    async def _query(self, symbols: Sequence[str]) -> dict[str, int]:
        """Return the newest ids.

        Binance refuses the whole request for one delisted symbol. Bisection finds that symbol, which otherwise would
        block the check of the others permanently.
        """
        try:
            return await self._newest_ids(symbols)
        except RequestRefusedError as error:
            if not is_unlisted(error):
                raise
        if len(symbols) == 1:
            watched = self._watched[symbols[0]]
            watched.patience_s = min(2 * watched.patience_s, MOST_UNLISTED_S)
            watched.check_at_s = self._now_s() + watched.patience_s
            log.warning("symbol not listed by the exchange, checking it less often", symbol=symbols[0])
            return {}
        middle = len(symbols) // 2
        return await self._query(symbols[:middle]) | await self._query(symbols[middle:])

    def _is_missed(self, symbol: str, newest: int) -> bool:
        watched = self._watched[symbol]
        if watched.newest_id is None:  # nothing received yet: trades from before the feed are no evidence
            watched.newest_id = newest
        return newest > watched.newest_id

    def _expect_after(self, silent: Sequence[str], missed: dict[str, int]) -> None:
        """From now on, accept only even newer trades as evidence, and query half as often each time."""
        for symbol in silent:
            watched = self._watched[symbol]
            watched.newest_id = missed[symbol]
            watched.patience_s = min(2 * watched.patience_s, self._timing.most_stale_s)
            watched.check_at_s = self._now_s() + watched.patience_s
