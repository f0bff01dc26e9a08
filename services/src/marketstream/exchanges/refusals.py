"""Trades that are refused: each is counted, the first of a kind are logged."""

from typing import Any, Final

from prometheus_client import Counter

from marketstream.telemetry import logger

log = logger(__name__)

METRIC: Final = "marketstream_refused_trades_total"

REFUSED: Final = Counter(
    METRIC,
    "Trades that were refused, by what is wrong with them",
    ["reason"],
)

LOGGED: Final = 20
"""How many refusals of one source get a line in the log. A broken file of millions of lines must not fill a disk."""


class Refusals:
    """What one source (a file, a feed) had refused."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, reason: str, count: int = 1, **seen: Any) -> None:
        """Counts `count` trades as refused for `reason` (one word), and logs what was `seen` while that is rare."""
        REFUSED.labels(reason).inc(count)
        if self.count < LOGGED:
            log.warning("trade refused", reason=reason, count=count, **seen)
            if self.count + count >= LOGGED:
                log.warning("further refused trades of this source are only counted", metric=METRIC)
        self.count += count
