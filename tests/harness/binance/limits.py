"""Request weight, 429 and 418 (Binance Spot API, REST API: IP Limits)."""

import time
from typing import NamedTuple

LIMIT = 6_000
WINDOW_S = 60.0
PATIENCE = 10
"""Number of requests after a 429, within the window, that lead to a ban."""


class Verdict(NamedTuple):
    """A refusal by the limits: the HTTP status, the seconds to wait, and the message."""

    status: int
    retry_after_s: int
    message: str


class Limits:
    """The weight that one address has spent in this minute. Tests use `ban` and `refuse`."""

    def __init__(self, limit: int = LIMIT, window_s: float = WINDOW_S, ban_s: float = 120.0) -> None:
        self.limit = limit
        self.used = 0
        self._window_s = window_s
        self._ban_s = ban_s
        self._window = -1
        self._ignored = 0
        self._banned_until = 0.0
        self._refuse_until = 0.0
        self.broken = 0
        """Number of requests after the exchange had demanded a pause."""

    def ban(self, seconds: float) -> None:
        """Answer with 418 for a number of seconds."""
        self._banned_until = time.monotonic() + seconds

    def refuse(self, seconds: float) -> None:
        """Answer with 429 for a number of seconds."""
        self._refuse_until = time.monotonic() + seconds

    def spend(self, weight: int) -> Verdict | None:
        """Count a request. Return None if it is within the limits."""
        now = time.monotonic()
        if now // self._window_s != self._window:
            self._window, self.used, self._ignored = int(now // self._window_s), 0, 0
        self.used += weight
        if now < self._banned_until:
            self.broken += 1
            return self._banned(now)
        if now >= self._refuse_until and self.used <= self.limit:
            return None
        self._ignored += 1
        self.broken += self._ignored > 1
        if self._ignored > PATIENCE:
            self.ban(self._ban_s)
            return self._banned(now)
        left_s = max(self._refuse_until - now, self._window_s - now % self._window_s if self.used > self.limit else 0)
        return Verdict(
            429,
            int(left_s) + 1,
            f"Too much request weight used; current limit is {self.limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
        )

    def _banned(self, now: float) -> Verdict:
        until_ms = int((time.time() + self._banned_until - now) * 1000)
        return Verdict(
            418,
            int(self._banned_until - now) + 1,
            f"Way too much request weight used; IP banned until {until_ms}. "
            "Please use WebSocket Streams for live updates to avoid bans.",
        )
