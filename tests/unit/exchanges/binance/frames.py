"""Frames as Binance sends them."""

from typing import Any

import msgspec

NOW_US = 1_790_000_000_000_000


def trade_frame(**changes: Any) -> bytes:
    """Return a frame of one trade; `changes` use the names of the protocol."""
    data = {
        "e": "trade", "E": NOW_US + 900, "s": "BTCUSDT", "t": 12345, "p": "39432.48000000", "q": "0.00026300",
        "b": 88, "a": 50, "T": NOW_US, "m": True, "M": True,
    }  # fmt: skip
    return msgspec.json.encode({"stream": "btcusdt@trade", "data": data | changes})
