"""The exchange's own time, which need not be ours."""

import time


class ExchangeClock:
    """Starts at `start_us` (Unix µs) when made, and runs `speed` times as fast as ours.

    `offset_us` is by how much it is wrong: it shifts what the exchange says of the time, not when trades happen.
    """

    def __init__(self, start_us: int, speed: float = 1.0) -> None:
        self._start_us = start_us
        self._speed = speed
        self._began = time.monotonic()
        self.offset_us = 0

    def now_us(self) -> int:
        """The true time, Unix µs."""
        return self._start_us + int((time.monotonic() - self._began) * self._speed * 1_000_000)

    def told_us(self) -> int:
        """The time as the exchange tells it."""
        return self.now_us() + self.offset_us
