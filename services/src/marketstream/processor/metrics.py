"""Metrics of the processor."""

from prometheus_client import Counter, Gauge, Histogram

_SYMBOL = ("exchange", "symbol")

TRADES = Counter(
    "marketstream_processor_trades_total",
    "Trades by outcome: counted, duplicate (dropped), partial or settled (refused);"
    " jumped, late and unordered trades are also in counted",
    (*_SYMBOL, "outcome"),
)
SET_ASIDE = Counter(
    "marketstream_processor_set_aside_total",
    "Records rejected because they could not be decoded or cannot be true",
    _SYMBOL,
)
LOST_RECORDS = Counter(
    "marketstream_processor_lost_records_total", "Records deleted from the topic before they were read", _SYMBOL
)
UNUSABLE = Gauge(
    "marketstream_processor_unusable_topic_seconds",
    "Seconds since the symbol's topic cannot be read, or since Kafka refused to create it; 0 while it can be read",
    _SYMBOL,
)
GENERATIONS = Counter(
    "marketstream_processor_generations_total", "Times that the trade ids of the symbol began again", _SYMBOL
)
POSITION = Gauge("marketstream_processor_position", "Offset after the last record applied", _SYMBOL)
LAG = Gauge("marketstream_processor_lag_records", "Records in the topic that are not applied yet", _SYMBOL)
OPEN_HOLES = Gauge("marketstream_processor_open_holes", "Holes in the trade ids that may still be filled", _SYMBOL)
HEARD_UNTIL = Gauge(
    "marketstream_processor_heard_until_seconds",
    "Unix time of the newest trade, or up to which the exchange reported none; at first, the time of the claim",
    _SYMBOL,
)
OF_OWNED = (POSITION, LAG, OPEN_HOLES, HEARD_UNTIL)
"""Gauges that only the owner of a symbol reports."""
OWNED = Gauge("marketstream_processor_owned_symbols", "Symbols that this process owns")
FENCED = Counter(
    "marketstream_processor_fenced_total", "Number of times that a symbol turned out to have another owner", _SYMBOL
)
COMMIT_SECONDS = Histogram("marketstream_processor_commit_seconds", "Duration of a commit, retries included")
COMMIT_FAILURES = Counter("marketstream_processor_commit_failures_total", "Failed attempts to commit")
CANDLES = Counter("marketstream_processor_candles_total", "10-second candles stored, corrections included")
PUBLISH_FAILURES = Counter("marketstream_processor_publish_failures_total", "Failed attempts to write to Redis")
