"""What backfill counts, for Prometheus."""

from prometheus_client import Counter

_SYMBOL = ("exchange", "symbol")

TRADES = Counter("marketstream_backfill_trades_total", "Trades fetched from the exchange's history", _SYMBOL)
FAILURES = Counter("marketstream_backfill_failures_total", "Attempts to fetch that failed", ("exchange",))
UNFILLABLE = Counter("marketstream_backfill_unfillable_total", "Trades that the exchange's history lacks", _SYMBOL)
