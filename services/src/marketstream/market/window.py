"""Tumbling windows: aligned, half-open periods of exchange time, [start, start + length)."""

from typing import Final, NamedTuple

WINDOW_S: Final = 10
"""Length in seconds of the windows in which trades are counted. All longer intervals are rolled up from them."""

WINDOW_US: Final = WINDOW_S * 1_000_000
"""The same length in µs."""


class Interval(NamedTuple):
    """A length of candles. `children` names the interval from which they are rolled up, None for the shortest."""

    name: str
    seconds: int
    children: str | None

    @property
    def table(self) -> str:
        """The name of the table that holds its candles."""
        return f"candles_{self.name}"

    def start_of(self, time_s: int) -> int:
        """Return the start of the window that contains `time_s`; both are in Unix seconds."""
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
"""All intervals by name, shortest first. Each divides the next, so a child never reaches over a parent's edge."""

ROLLUPS: Final = tuple(interval for interval in INTERVALS.values() if interval.children)
"""The intervals that are rolled up, children before their parents."""


def window_of(time_us: int) -> int:
    """Return the number of the window that contains `time_us` (Unix µs). Windows are numbered from 1970."""
    return time_us // WINDOW_US


def start_s(window: int) -> int:
    """Return the start of the window with this number, in Unix seconds."""
    return window * WINDOW_S
