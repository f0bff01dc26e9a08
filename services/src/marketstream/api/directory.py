"""Directory of the known symbols. Finds a symbol in upper or lower case, or the first one if none is given."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from marketstream.api.problems import ProblemError, not_found
from marketstream.postgres.reader import StoreReader

FRESH_S: Final = 1.0
"""Seconds for which the list is not read again, so that requests for unknown symbols do not load the database."""

NAMED: Final = 20
"""Maximum number of names in an error: enough to spot a misspelling, few enough to read."""


class Directory:
    """The symbols of the table progress, in memory. A known symbol is found without a query."""

    def __init__(
        self,
        reader: StoreReader,
        default_exchange: str,
        preferred: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`preferred` symbols come first in their exchange, in this order. The others follow, sorted by name."""
        self._reader = reader
        self._default_exchange = default_exchange
        self._rank = {symbol: rank for rank, symbol in enumerate(preferred)}
        self._clock = clock
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._exchanges: dict[str, dict[str, tuple[str, str]]] = {}

    async def find(self, exchange: str | None, symbol: str | None) -> tuple[str, str]:
        """Return the exact names of an exchange and a symbol, by default the default exchange and its first symbol.

        Raises ProblemError (404) when there is no such symbol, and StoreError when the symbol is not in memory and the
        database cannot be read.
        """
        exchange = (exchange or self._default_exchange).lower()
        symbol = symbol and symbol.upper()
        if (found := self._look_up(exchange, symbol)) is not None:
            return found
        await self._refresh()
        if (found := self._look_up(exchange, symbol)) is not None:
            return found
        raise self._unknown(exchange, symbol)

    async def all(self) -> list[tuple[str, str]]:
        """Return all pairs of exchange and symbol, sorted by exchange. Raises StoreError."""
        await self._refresh()
        return [pair for symbols in self._exchanges.values() for pair in symbols.values()]

    def _look_up(self, exchange: str, symbol: str | None) -> tuple[str, str] | None:
        symbols = self._exchanges.get(exchange, {})
        return next(iter(symbols.values()), None) if symbol is None else symbols.get(symbol)

    async def _refresh(self) -> None:
        async with self._reading:
            if self._clock() - self._read_at < FRESH_S:
                return
            followed = await self._reader.symbols()
            exchanges: dict[str, dict[str, tuple[str, str]]] = {}
            for row in sorted(followed, key=lambda row: (row.exchange, self._rank_of(row.symbol), row.symbol)):
                symbols = exchanges.setdefault(row.exchange.lower(), {})
                symbols[row.symbol.upper()] = (row.exchange, row.symbol)
            self._exchanges, self._read_at = exchanges, self._clock()

    def _rank_of(self, symbol: str) -> int:
        return self._rank.get(symbol, len(self._rank))

    def _unknown(self, exchange: str, symbol: str | None) -> ProblemError:
        if not self._exchanges:
            return not_found("unknown-symbol", "Unknown symbol", "No symbol has been streamed yet.")
        if exchange not in self._exchanges:
            known = f"Known exchanges: {_listed(self._exchanges)}."
            detail = f"No exchange {exchange!r} is streamed here. {known}"
            return not_found("unknown-exchange", "Unknown exchange", detail)
        known = f"Known symbols: {_listed(self._exchanges[exchange])}."
        detail = f"No symbol {symbol!r} of {exchange} is streamed here. {known}"
        return not_found("unknown-symbol", "Unknown symbol", detail)


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
