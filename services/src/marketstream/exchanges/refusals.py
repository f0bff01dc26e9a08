"""Refused trades: all are counted, and the first few of each source are logged."""

from typing import Any, Final

from prometheus_client import Counter

from marketstream.telemetry import logger

log = logger(__name__)

METRIC: Final = "marketstream_refused_trades_total"

REFUSED: Final = Counter(
    METRIC,
    "Invalid trades that were refused, by reason",
    ["reason"],
)

LOGGED: Final = 20
"""Number of refusals of one source that are logged: a broken file of millions of lines must not fill the disk."""


class Refusals:
    """The refused trades of one source, which is a file or a feed."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, reason: str, count: int = 1, **seen: Any) -> None:
        """Count `count` trades as refused for `reason` (one word); log the first refusals with the details `seen`."""
        REFUSED.labels(reason).inc(count)
        if self.count < LOGGED:
            log.warning("trade refused", reason=reason, count=count, **seen)
            if self.count + count >= LOGGED:
                log.warning("further refused trades of this source are counted but not logged", metric=METRIC)
        self.count += count
