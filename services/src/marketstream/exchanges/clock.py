"""Time as a parameter: exchanges read and await time through these types, so that tests can move it by hand."""

import time
from collections.abc import Awaitable, Callable

Now = Callable[[], int]
"""Returns the current time, in Unix µs."""

Sleep = Callable[[float], Awaitable[None]]
"""Waits for a number of seconds."""


def now_us() -> int:
    """Return the time of this machine, in Unix µs."""
    return time.time_ns() // 1000
