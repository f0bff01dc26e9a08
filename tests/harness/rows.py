"""Rows as a processor writes them, for the tests of readers."""

from decimal import Decimal
from typing import Any

from marketstream.postgres.migrate import Connection

CANDLE: dict[str, Any] = {
    "exchange": "binance",
    "symbol": "BTCUSDT",
    "window_start": 1610064010,
    "open": Decimal("39479.220"),
    "high": Decimal("39499.98"),
    "low": Decimal("39460.39"),
    "close": Decimal("39491.98"),
    "volume": Decimal("19.69492500"),
    "quote_volume": Decimal("777500.0187459"),
    "taker_buy_volume": Decimal("0.00000000"),
    "open_time": 1610064010012000,
    "open_id": 1350,
    "close_time": 1610064019987000,
    "close_id": 1677,
    "trade_count": 328,
    "first_trade_id": 1350,
    "last_trade_id": 1677,
    "complete": True,
    "incomplete_reason": None,
    "revision": 0,
}


async def add_candles(connection: Connection, *changes: dict[str, Any], table: str = "candles_10s") -> None:
    """Insert a row for each of `changes`, which replace columns of CANDLE."""
    columns = list(CANDLE)
    records = [[(CANDLE | change)[column] for column in columns] for change in changes]
    await connection.copy_records_to_table(table, records=records, columns=columns)


async def add_symbol(connection: Connection, exchange: str, symbol: str, closed_until: int) -> None:
    """Insert a symbol whose windows before `closed_until` (Unix s) are closed."""
    await connection.execute(
        """INSERT INTO progress (exchange, symbol, topic, closed_until) VALUES ($1, $2, $1 || $2, $3)
           ON CONFLICT (exchange, symbol) DO UPDATE SET closed_until = excluded.closed_until""",
        exchange, symbol, closed_until,
    )  # fmt: skip
