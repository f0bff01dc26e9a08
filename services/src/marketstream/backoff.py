"""Delays between attempts."""

from collections.abc import Iterator
from random import Random


def delays(first_s: float, most_s: float, rng: Random | None = None) -> Iterator[float]:
    """Yield the seconds to wait before each further attempt, forever, doubling from `first_s` up to `most_s`.

    Each delay is shortened at random by up to half, so that clients that failed together do not retry together.
    """
    rng = rng or Random()
    limit = first_s
    while True:
        yield limit * (0.5 + rng.random() / 2)
        limit = min(most_s, limit * 2)
