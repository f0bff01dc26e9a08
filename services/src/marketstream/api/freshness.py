"""The state of a symbol, computed from the freshness of its data."""

from typing import Final, Literal

from marketstream.redis.hashes import LiveStatus

QUIET_S: Final = 10
"""Seconds without a trade after which a symbol with a working feed is quiet."""

SIMULATOR: Final = "simulator"

State = Literal["live", "quiet", "stale", "backfilling", "simulated", "unlisted", "unreachable"]


def state_of(exchange: str, status: LiveStatus, now: float) -> State:
    """Return the state of a symbol at the Unix time `now`, in seconds."""
    if status.unlisted:
        return "unlisted"
    if status.heard_until is None or now - status.heard_until > status.max_age:
        return "stale"
    if not status.connected:
        return "unreachable"
    if status.backfilling:
        return "backfilling"
    if exchange == SIMULATOR:
        return "simulated"
    if status.last_trade_time is None or now - status.last_trade_time > QUIET_S:
        return "quiet"
    return "live"
