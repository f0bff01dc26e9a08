"""Tumbling windows: aligned, half-open stretches of exchange time, [start, start + length)."""

from typing import Final, NamedTuple

WINDOW_S: Final = 10
"""Length of the window in which trades are counted, in seconds. All longer intervals are rolled up from it."""

WINDOW_US: Final = WINDOW_S * 1_000_000


class Interval(NamedTuple):
    """A length of candles. `children` names the interval from which its candles are rolled up."""

    name: str
    seconds: int
    children: str | None

    @property
    def table(self) -> str:
        """The table that holds its candles."""
        return f"candles_{self.name}"

    def start_of(self, time_s: int) -> int:
        """The start of the window that holds `time_s`; both in Unix seconds."""
        return time_s - time_s % self.seconds


INTERVALS: Final[dict[str, Interval]] = {
    name: Interval(name, seconds, children)
    for name, seconds, children in (
        ("10s", 10, None),
        ("1m", 60, "10s"),
        ("5m", 300, "1m"),
        ("15m", 900, "5m"),
        ("1h", 3_600, "15m"),
        ("4h", 14_400, "1h"),
        ("1d", 86_400, "4h"),
    )
}
"""Every interval, shortest first: each divides the next, so that children never straddle a parent's edge."""

ROLLUPS: Final = tuple(interval for interval in INTERVALS.values() if interval.children)
"""The intervals that are rolled up, children always before their parents."""


def window_of(time_us: int) -> int:
    """The number of the window that holds `time_us` (Unix µs); windows are numbered from 1970 on."""
    return time_us // WINDOW_US


def start_s(window: int) -> int:
    """The start of a window in Unix seconds."""
    return window * WINDOW_S
