"""When what has failed is tried again, and when a hole is given up."""

import time
from collections.abc import Iterable
from typing import Final

from marketstream.backfill.account import Account, Hole, holes_of

FIRST_DELAY_S: Final = 0.5
MOST_DELAY_S: Final = 60.0
"""Seconds before a hole, or a beginning, is tried again, doubling from the first to the most. Meanwhile others are."""

PATIENCE_S: Final = 60.0
"""Seconds for which the history may lack trades before they are given up: it may lag behind the feed."""

OLDEST_EACH: Final = 4

HoleKey = tuple[str, int]
"""A topic and the last id of a hole: its first one moves while it is being filled."""


class Attempts:
    """What was tried of each hole without success."""

    def __init__(self) -> None:
        self._tried: dict[HoleKey, Tried] = {}
        self._looks = 0

    def newest_due(self, accounts: Iterable[Account]) -> tuple[Account, Hole] | None:
        """Of all holes that may be tried now the one that ended last, for what people look at is now; but each
        OLDEST_EACH-th time the one that ended first, so that none waits for ever."""
        holes = {
            (account.topic, hole.last): (account, hole) for account in accounts for hole in holes_of(account.ledger)
        }
        self._tried = {key: tried for key, tried in self._tried.items() if key in holes}
        due = [found for key, found in holes.items() if key not in self._tried or self._tried[key].is_due()]
        self._looks += 1
        choose = max if self._looks % OLDEST_EACH else min
        return choose(due, key=lambda found: found[1].before_us, default=None)

    def fail(self, account: Account, hole: Hole) -> None:
        """The exchange did not answer: the hole is tried again later, and its patience begins anew."""
        self._postpone(account, hole).missed_at = None

    def miss(self, account: Account, hole: Hole) -> bool:
        """The history has answered without the hole's first trades: it is tried again later. Whether it has done so for
        so long that they are given up."""
        tried, now = self._postpone(account, hole), time.monotonic()
        tried.missed_at = now if tried.missed_at is None else tried.missed_at
        return now - tried.missed_at >= PATIENCE_S

    def forget(self, account: Account, hole: Hole) -> None:
        """A part of the hole was filled or given up: what is left of it is another one."""
        self._tried.pop((account.topic, hole.last), None)

    def _postpone(self, account: Account, hole: Hole) -> "Tried":
        tried = self._tried.setdefault((account.topic, hole.last), Tried())
        tried.postpone()
        return tried


class Tried:
    """The tries of one hole or beginning, in seconds of the monotonic clock."""

    __slots__ = ("_delay_s", "missed_at", "not_before")

    def __init__(self) -> None:
        self.missed_at: float | None = None
        self.not_before = 0.0
        self._delay_s = FIRST_DELAY_S

    def is_due(self) -> bool:
        """Whether it may be tried now."""
        return self.not_before <= time.monotonic()

    def postpone(self) -> None:
        """It has failed: it is tried again after a while, and after a longer one each time."""
        self.not_before = time.monotonic() + self._delay_s
        self._delay_s = min(self._delay_s * 2, MOST_DELAY_S)
