"""Finds symbols that died silently: the connection lives, other symbols flow, but one does not come any more.

A quiet symbol looks the same from here. What tells them apart is the exchange's own word: its newest trade id, from
the REST API. Only a newer id than the last heard, which a while later has still not been heard, is evidence; without
it, quiet is quiet.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from marketstream.exchanges.base import TradesReceived
from marketstream.exchanges.binance.endpoints import is_unlisted
from marketstream.exchanges.binance.timing import Timing
from marketstream.exchanges.errors import ExchangeError, RequestRefusedError
from marketstream.telemetry import logger

log = logger(__name__)

NewestIds = Callable[[Sequence[str]], Awaitable[dict[str, int]]]
"""Asks the exchange for the newest trade id of each of the symbols that have any."""


@dataclass(slots=True)
class _Watched:
    newest_id: int | None
    """The newest id that was heard, or that is known to have been missed; None before the first."""
    ask_at_s: float
    """Never, until it is heard again, for a symbol that the exchange does not list any more."""
    patience_s: float


class Watchdog:
    """Watches `symbols`; `on_silent` is told of those that died. `now_s` is any clock that only goes forward."""

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
        self._watched = {symbol: _Watched(None, due_s, timing.stale_s) for symbol in symbols}

    def hear(self, heard: TradesReceived) -> None:
        """Takes note of a sign of life."""
        watched = self._watched[heard.symbol]
        watched.newest_id = max(watched.newest_id or 0, heard.trades.all_ids()[-1])
        watched.patience_s = self._timing.stale_s
        watched.ask_at_s = self._now_s() + watched.patience_s

    async def run(self) -> None:
        """Watches for ever."""
        while True:
            await self._sleep(self._timing.stale_s / 4)
            await self.look()

    async def look(self) -> None:
        """Asks about the symbols that have been silent for long, and tells which of them died."""
        now_s = self._now_s()
        suspects = [symbol for symbol, watched in self._watched.items() if watched.ask_at_s <= now_s]
        if not suspects:
            return
        for symbol in suspects:
            self._watched[symbol].ask_at_s = now_s + self._watched[symbol].patience_s
        try:
            newest_ids = await self._ask(suspects)
        except ExchangeError as error:
            log.warning("quiet symbols could not be checked", symbols=len(suspects), error=str(error))
            return
        missed = {symbol: newest for symbol, newest in newest_ids.items() if self._is_missed(symbol, newest)}
        if not missed:
            return
        await self._sleep(self._timing.confirm_s)
        silent = [symbol for symbol, newest in missed.items() if self._is_missed(symbol, newest)]
        if silent:
            log.warning("symbols have died silently", symbols=silent[:20], count=len(silent))
            self._expect_after(silent, missed)
            self._on_silent(silent)

    async def _ask(self, symbols: Sequence[str]) -> dict[str, int]:
        """The newest ids. One symbol that is not listed any more has the whole question refused: halves find it, or it
        would hide the others for ever."""
        try:
            return await self._newest_ids(symbols)
        except RequestRefusedError as error:
            if not is_unlisted(error):
                raise
        if len(symbols) == 1:
            log.warning("the exchange does not list a symbol any more; it is not asked for again", symbol=symbols[0])
            self._watched[symbols[0]].ask_at_s = math.inf
            return {}
        middle = len(symbols) // 2
        return await self._ask(symbols[:middle]) | await self._ask(symbols[middle:])

    def _is_missed(self, symbol: str, newest: int) -> bool:
        watched = self._watched[symbol]
        if watched.newest_id is None:  # nothing heard yet: what happened before the feed began is no evidence
            watched.newest_id = newest
        return newest > watched.newest_id

    def _expect_after(self, silent: Sequence[str], missed: dict[str, int]) -> None:
        """From now on only still newer trades are evidence, and it is sought less often each time."""
        for symbol in silent:
            watched = self._watched[symbol]
            watched.newest_id = missed[symbol]
            watched.patience_s = min(2 * watched.patience_s, self._timing.most_stale_s)
            watched.ask_at_s = self._now_s() + watched.patience_s
