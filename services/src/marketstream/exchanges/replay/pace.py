"""The pace at which a recording is replayed."""

import math

from marketstream.exchanges.clock import Now
from marketstream.settings import SettingsError


def parse_speed(text: str) -> float:
    """Return the speed as a multiple of the recorded speed: a number above 0, or infinity for `max`.

    Raises SettingsError for any other text.
    """
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
    """The position of a replay. The file's time starts at its first trade and runs `speed` times as fast as ours."""

    def __init__(self, speed: float, now: Now) -> None:
        self._speed = speed
        self._now = now
        self._start: tuple[int, int] | None = None

    def time_us(self, first_us: int) -> float:
        """Return the time of the file now (Unix µs), infinite at the speed `max`.

        The first call sets the start: its `first_us` is the time of the file at that moment.
        """
        if self._start is None:
            self._start = (self._now(), first_us)
        ours, files = self._start
        return math.inf if self._speed == math.inf else files + (self._now() - ours) * self._speed

    def seconds(self, span_us: float) -> float:
        """Return the seconds that a span of the file's time takes."""
        return span_us / self._speed / 1_000_000
