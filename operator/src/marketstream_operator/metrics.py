"""The operator's metrics, for Prometheus."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

RECONCILES: Final = Counter(
    "marketstream_operator_reconciles_total",
    "Reconciles by outcome: ok, conflict, failed or timed_out",
    ["outcome"],
)
RECONCILE_SECONDS: Final = Histogram(
    "marketstream_operator_reconcile_seconds",
    "Duration of reconciles, including failed ones",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
QUEUE_DEPTH: Final = Gauge("marketstream_operator_queue_depth", "MarketStreams waiting to be reconciled")
LEADER: Final = Gauge("marketstream_operator_leader", "1 while this replica holds the lease and reconciles, else 0")
API_REQUESTS: Final = Counter(
    "marketstream_operator_api_requests_total",
    "Requests to the Kubernetes API; status 0 means no answer",
    ["verb", "status"],
)
WATCH_MISSED: Final = Counter(
    "marketstream_operator_watch_missed_total", "Changes found by a resync that no watch had reported", ["kind"]
)
WRITES_STOPPED: Final = Counter(
    "marketstream_operator_writes_stopped_total",
    "Writes that were left out because somebody else keeps changing the object",
    ["kind"],
)
OTHER_OPERATOR: Final = Gauge(
    "marketstream_operator_other_operator", "MarketStreams that are not served: their objects are another operator's"
)
EVENTS_DROPPED: Final = Counter(
    "marketstream_operator_events_dropped_total",
    "Events that were dropped: too many were waiting, or the API server rejected them",
)
STREAMS: Final = Gauge(
    "marketstream_operator_streams",
    "MarketStreams by the status of Ready; those that are paused count as Paused",
    ["ready"],
)
FRESH: Final = Gauge("marketstream_operator_fresh", "MarketStreams by the status of Fresh", ["fresh"])
PAIRS: Final = Gauge("marketstream_operator_pairs", "Pairs of all MarketStreams: desired and ready", ["state"])
