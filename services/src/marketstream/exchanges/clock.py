"""Time as a parameter: what tells an exchange the time and what makes it wait, so that tests move time by hand."""

import time
from collections.abc import Awaitable, Callable

Now = Callable[[], int]
"""Tells the time, Unix µs."""

Sleep = Callable[[float], Awaitable[None]]
"""Waits for some seconds."""


def now_us() -> int:
    """The time of this machine, Unix µs."""
    return time.time_ns() // 1000
