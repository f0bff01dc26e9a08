"""What the connection to Binance tells Prometheus."""

from typing import Final

from prometheus_client import Counter

CONNECTIONS: Final = Counter(
    "marketstream_binance_connections_total",
    "WebSockets opened, by why: start, closed (the one before was lost), shutdown, age or silence (it was replaced)",
    ["reason"],
)
CONNECT_FAILURES: Final = Counter("marketstream_binance_connect_failures_total", "WebSockets that did not open")
OVERFLOW: Final = Counter(
    "marketstream_binance_overflow_trades_total", "Trades heard and let go because the reader was too far behind"
)
REQUESTS: Final = Counter(
    "marketstream_binance_requests_total", "REST requests, by the status of the answer", ["status"]
)
WEIGHT: Final = Counter("marketstream_binance_weight_total", "Request weight spent")
