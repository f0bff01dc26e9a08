"""The true candles, of all trades of the exchange, including those that no feed brought."""

from functools import lru_cache
from typing import Final

from marketstream.market.window import WINDOW_S, WINDOW_US

from tests.faults.exchange import UnreliableExchange
from tests.harness.model import Row, reference_candles

_CHUNK: Final = 60
"""The number of windows that are computed together."""


class Truth:
    """The rows that complete candles must equal."""

    def __init__(self, exchange: UnreliableExchange) -> None:
        self._exchange = exchange
        self._chunk = lru_cache(maxsize=None)(self._compute)

    def row(self, symbol: str, start_s: int) -> Row | None:
        """Return the row of the window that starts at this time (Unix s), or None if there is none."""
        window = start_s // WINDOW_S
        return self._chunk(symbol, window // _CHUNK).get(start_s)

    def reference(self, symbol: str, first_id: int, last_id: int) -> dict[int, Row]:
        """Return all rows that follow from the trades with these ids and no others."""
        return reference_candles(
            self._exchange.trades(symbol, first_id, last_id), *self._exchange.scales(symbol)
        )  # fmt: skip

    def _compute(self, symbol: str, chunk: int) -> dict[int, Row]:
        first_us, end_us = chunk * _CHUNK * WINDOW_US, (chunk + 1) * _CHUNK * WINDOW_US
        first_id = self._exchange.first_id_from(symbol, first_us)
        end_id = self._exchange.first_id_from(symbol, end_us)
        rows = self.reference(symbol, first_id - 1, end_id)
        return {start: row for start, row in rows.items() if first_us <= start * 1_000_000 < end_us}
