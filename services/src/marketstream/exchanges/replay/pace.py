"""How fast a recording is replayed."""

import math

from marketstream.exchanges.clock import Now
from marketstream.settings import SettingsError


def parse_speed(text: str) -> float:
    """How many times faster than recorded: a number above 0, or infinity for `max`. Raises SettingsError."""
    if text == "max":
        return math.inf
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise SettingsError(f"REPLAY_SPEED is {text!r}: expected a number above 0, or max")
    return speed


class Pace:
    """Where a replay is: the file's time runs `speed` times as fast as ours, from its first trade on."""

    def __init__(self, speed: float, now: Now) -> None:
        self._speed = speed
        self._now = now
        self._start: tuple[int, int] | None = None

    def time_us(self, first_us: int) -> float:
        """The file's time now (µs), infinite for a replay as fast as possible; it starts at `first_us`."""
        if self._start is None:
            self._start = (self._now(), first_us)
        ours, files = self._start
        return math.inf if self._speed == math.inf else files + (self._now() - ours) * self._speed

    def seconds(self, span_us: float) -> float:
        """How long so much of the file's time takes, in seconds."""
        return span_us / self._speed / 1_000_000
