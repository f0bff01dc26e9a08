"""Live statuses as Redis holds them."""

from typing import Any

from marketstream.redis.hashes import LiveStatus

NOW = 1_610_064_100.0


def status_of(**changes: Any) -> LiveStatus:
    """Return the status of a symbol that has traded a second ago, with `changes`."""
    fields: dict[str, Any] = {"price": "1.5", "price_id": 7, "price_time": NOW - 1, "last_trade_time": NOW - 1}
    return LiveStatus(**{**fields, "heard_until": NOW - 1, **changes})
