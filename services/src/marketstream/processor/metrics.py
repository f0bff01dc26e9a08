"""What the processor counts, for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

_SYMBOL = ("exchange", "symbol")

TRADES = Counter(
    "marketstream_processor_trades_total",
    "Trades by what became of them: counted, duplicate (dropped), partial or settled (refused);"
    " of those counted once more jumped, late and unordered",
    (*_SYMBOL, "outcome"),
)
SET_ASIDE = Counter("marketstream_processor_set_aside_total", "Records that could not be read or be true", _SYMBOL)
LOST_RECORDS = Counter("marketstream_processor_lost_records_total", "Records gone before they were read", _SYMBOL)
POSITION = Gauge("marketstream_processor_position", "Offset after the last record applied", _SYMBOL)
LAG = Gauge("marketstream_processor_lag_records", "Records in the topic that are not applied yet", _SYMBOL)
OPEN_HOLES = Gauge("marketstream_processor_open_holes", "Holes in the trade ids that may still be filled", _SYMBOL)
HEARD_UNTIL = Gauge(
    "marketstream_processor_heard_until_seconds",
    "Unix time of the newest trade or of the exchange's word that there is none; before any, since when it is owned",
    _SYMBOL,
)
OF_OWNED = (POSITION, LAG, OPEN_HOLES, HEARD_UNTIL)
"""What only the owner of a symbol can tell."""
OWNED = Gauge("marketstream_processor_owned_symbols", "Symbols that this process owns")
FENCED = Counter("marketstream_processor_fenced_total", "Symbols found to be another's", _SYMBOL)
COMMIT_SECONDS = Histogram("marketstream_processor_commit_seconds", "Time of a commit, retries included")
COMMIT_FAILURES = Counter("marketstream_processor_commit_failures_total", "Attempts to commit that failed")
CANDLES = Counter("marketstream_processor_candles_total", "Candles stored, corrections included")
PUBLISH_FAILURES = Counter("marketstream_processor_publish_failures_total", "Attempts to write to Redis that failed")
