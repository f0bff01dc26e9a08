"""How long to wait between attempts."""

from collections.abc import Iterator
from random import Random


def delays(first_s: float, most_s: float, rng: Random | None = None) -> Iterator[float]:
    """Seconds to wait before each further attempt: doubling from `first_s` to at most `most_s`, each shortened at
    random by up to a half, so that many clients that failed together do not come back together."""
    rng = rng or Random()
    limit = first_s
    while True:
        yield limit * (0.5 + rng.random() / 2)
        limit = min(most_s, limit * 2)
