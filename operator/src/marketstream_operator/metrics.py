"""What the operator counts, for Prometheus: what one looks at when streams are not what their resources say."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

RECONCILES: Final = Counter(
    "marketstream_operator_reconciles_total",
    "Reconciles by their outcome: ok, conflict, failed or timed_out",
    ["outcome"],
)
RECONCILE_SECONDS: Final = Histogram(
    "marketstream_operator_reconcile_seconds",
    "Time of a reconcile, failed ones included",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
QUEUE_DEPTH: Final = Gauge("marketstream_operator_queue_depth", "MarketStreams that wait to be reconciled")
LEADER: Final = Gauge("marketstream_operator_leader", "1 while this replica holds the lease and acts, else 0")
API_REQUESTS: Final = Counter(
    "marketstream_operator_api_requests_total",
    "Requests to the Kubernetes API; status 0 without an answer",
    ["verb", "status"],
)
WATCH_MISSED: Final = Counter(
    "marketstream_operator_watch_missed_total", "Changes that a resync found and no watch had told of", ["kind"]
)
EVENTS_DROPPED: Final = Counter(
    "marketstream_operator_events_dropped_total", "Events given up: too many waited, or the API refused them"
)
STREAMS: Final = Gauge(
    "marketstream_operator_streams",
    "MarketStreams served, by the status of Ready; Paused: those that are not ready because they are to rest",
    ["ready"],
)
FRESH: Final = Gauge("marketstream_operator_fresh", "MarketStreams served, by the status of Fresh", ["fresh"])
PAIRS: Final = Gauge("marketstream_operator_pairs", "Pairs of all streams: desired and ready", ["state"])
