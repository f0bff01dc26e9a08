"""Read closed candles and the list of symbols, for the API and the command line.

PostgreSQL formats the decimal text itself (`trim_scale`), in C and in one pass. So no Decimal is created here for each
of the eight numbers of a row.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import asyncpg
import msgspec
from msgspec import Meta

from marketstream.market.window import Interval
from marketstream.postgres.errors import ANY, store_error
from marketstream.postgres.session import fetch

LIMIT_S: Final = 3.0
"""Maximum seconds of one read, including the wait for a connection."""

Text = Annotated[str, Meta(description="decimal number as text, without an exponent or trailing zeros")]


class CandleRow(msgspec.Struct, frozen=True, gc=False):
    """The trades of one symbol in one window, from window_start (inclusive) to window_start + interval (exclusive)."""

    exchange: Annotated[str, Meta(examples=["binance"])]
    symbol: Annotated[str, Meta(examples=["BTCUSDT"])]
    interval: Annotated[str, Meta(examples=["10s"])]
    window_start: Annotated[int, Meta(description="Unix seconds", examples=[1610064010])]
    open: Annotated[Text, Meta(description="price of the first trade, by time and then id", examples=["39479.22"])]
    high: Annotated[Text, Meta(examples=["39499.98"])]
    low: Annotated[Text, Meta(examples=["39460.39"])]
    close: Annotated[Text, Meta(description="price of the last trade, by time and then id", examples=["39491.98"])]
    volume: Annotated[Text, Meta(description="sum of the quantities", examples=["19.694925"])]
    quote_volume: Annotated[Text, Meta(description="sum of price times quantity", examples=["777500.0187459"])]
    taker_buy_volume: Annotated[Text, Meta(description="volume that takers bought", examples=["10.25"])]
    vwap: Annotated[
        Text | None,
        Meta(description="quote_volume / volume, with 4 more digits than the prices; null without volume"),
    ]
    trade_count: Annotated[int, Meta(examples=[328])]
    first_trade_id: Annotated[int, Meta(description="the exchange's id of the first trade", examples=[557458200])]
    last_trade_id: Annotated[
        int,
        Meta(description="the id of the last trade; first_trade_id - 1 if the window is empty", examples=[557458527]),
    ]
    complete: Annotated[bool, Meta(description="true if the candle is proven to hold every trade of its window")]
    incomplete_reason: Annotated[
        str | None,
        Meta(description="hole, unfillable, unconfirmed or unordered_ids; null when complete", examples=[None]),
    ]
    revision: Annotated[int, Meta(description="rises with every correction", examples=[0])]


class Followed(msgspec.Struct, frozen=True, gc=False):
    """A symbol that a processor has processed. Windows that start before `closed_until` (Unix seconds) are closed."""

    exchange: str
    symbol: str
    closed_until: int


_SYMBOLS: Final = "SELECT exchange, symbol, closed_until FROM progress ORDER BY exchange, symbol"

# The row of a longer interval exists while its window is still open: the last condition excludes it. The bound is the
# same for the whole statement, so the index on (exchange, symbol, window_start) is read backwards from it.
_CANDLES: Final = """
    SELECT exchange, symbol, $6::text, window_start,
           trim_scale(open)::text, trim_scale(high)::text, trim_scale(low)::text, trim_scale(close)::text,
           trim_scale(volume)::text, trim_scale(quote_volume)::text, trim_scale(taker_buy_volume)::text,
           trim_scale(round(quote_volume / nullif(volume, 0),
                            greatest(min_scale(open), min_scale(high), min_scale(low), min_scale(close)) + 4))::text,
           trade_count, first_trade_id, last_trade_id, complete, incomplete_reason, revision
    FROM {table}
    WHERE exchange = $1 AND symbol = $2 AND window_start >= $3 AND window_start < $4
      AND window_start <= (SELECT closed_until FROM progress WHERE exchange = $1 AND symbol = $2) - {seconds}
    ORDER BY window_start DESC
    LIMIT $5
"""

_EARLIEST: Final = 0
_LATEST: Final = 2**62


class StoreReader:
    """Reader that uses a pool and limits the time of each read."""

    def __init__(self, pool: asyncpg.Pool, *, limit_s: float = LIMIT_S) -> None:
        self._pool = pool
        self._limit_s = limit_s

    async def candles(
        self, exchange: str, symbol: str, interval: Interval, start: int | None, end: int | None, limit: int
    ) -> list[CandleRow]:
        """Return the newest `limit` closed candles whose window starts in [start, end) (Unix seconds), oldest first.

        None for `start` or `end` means no bound. Raises StoreError.
        """
        rows = await self._fetch(
            _CANDLES.format(table=interval.table, seconds=interval.seconds),
            exchange, symbol, _EARLIEST if start is None else start, _LATEST if end is None else end, limit,
            interval.name,
        )  # fmt: skip
        return [CandleRow(*row) for row in reversed(rows)]

    async def symbols(self) -> list[Followed]:
        """Return every symbol that was ever processed, sorted by exchange and name. Raises StoreError."""
        return [Followed(*row) for row in await self._fetch(_SYMBOLS)]

    async def ping(self) -> None:
        """Raise StoreUnavailableError if the database does not answer or has no tables."""
        await self._fetch("SELECT FROM progress LIMIT 0")

    async def _fetch(self, statement: str, *arguments: Any) -> Sequence[asyncpg.Record]:
        try:
            async with self._pool.acquire(timeout=self._limit_s) as connection:
                return await fetch(connection, statement, *arguments, timeout=self._limit_s)
        except ANY as error:
            raise store_error(error) from error
