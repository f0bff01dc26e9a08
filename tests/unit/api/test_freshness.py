"""The state of a symbol by its live status."""

from typing import Any

import pytest
from marketstream.api.freshness import State, state_of

from tests.unit.api.statuses import NOW, status_of


@pytest.mark.parametrize(
    ("exchange", "changes", "state"),
    [
        ("binance", {}, "live"),
        ("binance", {"last_trade_time": NOW - 10}, "live"),
        ("binance", {"last_trade_time": NOW - 10.1}, "quiet"),
        ("binance", {"last_trade_time": None}, "quiet"),
        ("binance", {"heard_until": NOW - 60}, "live"),
        ("binance", {"heard_until": NOW - 60.1}, "stale"),
        ("binance", {"heard_until": NOW - 90, "last_trade_time": NOW - 90, "max_age": 90}, "quiet"),
        ("binance", {"heard_until": NOW - 90.1, "max_age": 90}, "stale"),
        ("binance", {"heard_until": None}, "stale"),
        ("binance", {"backfilling": True}, "backfilling"),
        ("binance", {"backfilling": True, "last_trade_time": NOW - 30}, "backfilling"),
        ("binance", {"backfilling": True, "heard_until": NOW - 61}, "stale"),
        ("binance", {"connected": False}, "unreachable"),
        ("binance", {"connected": False, "last_trade_time": NOW - 30}, "unreachable"),
        ("binance", {"connected": False, "backfilling": True}, "unreachable"),
        ("binance", {"connected": False, "heard_until": NOW - 60.1}, "stale"),
        ("binance", {"connected": False, "unlisted": True}, "unlisted"),
        ("simulator", {"connected": False}, "unreachable"),
        ("simulator", {}, "simulated"),
        ("simulator", {"last_trade_time": NOW - 30}, "simulated"),
        ("simulator", {"backfilling": True}, "backfilling"),
        ("simulator", {"heard_until": NOW - 61}, "stale"),
    ],
)
def test_the_first_state_that_holds(exchange: str, changes: dict[str, Any], state: State) -> None:
    assert state_of(exchange, status_of(**changes), NOW) == state
