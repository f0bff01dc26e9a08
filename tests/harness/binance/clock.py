"""The exchange's own time, which may differ from ours."""

import time


class ExchangeClock:
    """A clock that starts at `start_us` (Unix µs) and runs `speed` times as fast as ours.

    `offset_us` is the error of the clock: it shifts the reported time, not the times of the trades.
    """

    def __init__(self, start_us: int, speed: float = 1.0) -> None:
        self._start_us = start_us
        self._speed = speed
        self._began = time.monotonic()
        self.offset_us = 0

    def now_us(self) -> int:
        """Return the true time, in Unix µs."""
        return self._start_us + int((time.monotonic() - self._began) * self._speed * 1_000_000)

    def reported_us(self) -> int:
        """Return the time as the exchange reports it, in Unix µs."""
        return self.now_us() + self.offset_us
