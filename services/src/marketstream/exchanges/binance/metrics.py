"""Metrics of the connections to Binance."""

from typing import Final

from prometheus_client import Counter

CONNECTIONS: Final = Counter(
    "marketstream_binance_connections_total",
    "WebSockets opened, by reason: start, closed (the last one was lost), shutdown, age or silence (it was replaced)",
    ["reason"],
)
CONNECT_FAILURES: Final = Counter("marketstream_binance_connect_failures_total", "Failed attempts to open a WebSocket")
OVERFLOW: Final = Counter(
    "marketstream_binance_overflow_trades_total", "Trades received and dropped because the reader was too far behind"
)
REQUESTS: Final = Counter(
    "marketstream_binance_requests_total", "REST requests, by HTTP status of the answer", ["status"]
)
WEIGHT: Final = Counter("marketstream_binance_weight_total", "Request weight spent")
