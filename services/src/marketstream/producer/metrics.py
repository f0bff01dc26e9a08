"""Metrics of the producer."""

from typing import Final

from prometheus_client import Counter, Gauge

TRADES: Final = Counter("marketstream_producer_trades_total", "Trades acknowledged by Kafka", ["symbol"])
RECORDS: Final = Counter("marketstream_producer_records_total", "Records of trades acknowledged by Kafka", ["symbol"])
HEARTBEATS: Final = Counter("marketstream_producer_heartbeats_total", "Heartbeats sent", ["symbol"])
BYTES: Final = Counter("marketstream_producer_bytes_total", "Bytes of records handed to Kafka, before compression")
SEND_FAILURES: Final = Counter(
    "marketstream_producer_send_failures_total", "Records given up because Kafka did not accept them"
)
FEED_RESTARTS: Final = Counter("marketstream_producer_feed_restarts_total", "Feeds that broke and were restarted")
UNACKNOWLEDGED: Final = Gauge("marketstream_producer_unacknowledged_records", "Records currently on their way to Kafka")
UNLISTED: Final = Gauge(
    "marketstream_producer_unlisted", "1 while the exchange does not list the symbol, else 0", ["symbol"]
)
STUCK: Final = Gauge(
    "marketstream_producer_stuck_seconds",
    "Seconds since Kafka stopped accepting records of the symbol's topic, or refused to create it;"
    " 0 while it accepts them",
    ["symbol"],
)
