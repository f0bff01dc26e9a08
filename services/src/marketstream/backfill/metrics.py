"""Metrics of the backfill."""

from prometheus_client import Counter

_SYMBOL = ("exchange", "symbol")

TRADES = Counter("marketstream_backfill_trades_total", "Trades fetched from the exchange's history", _SYMBOL)
FAILURES = Counter("marketstream_backfill_failures_total", "Failed attempts to fetch", ("exchange",))
UNFILLABLE = Counter(
    "marketstream_backfill_unfillable_total", "Trades given up because the exchange's history lacks them", _SYMBOL
)
