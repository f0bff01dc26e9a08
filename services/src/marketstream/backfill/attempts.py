"""The times at which failed work is retried and holes are given up."""

import time
from collections.abc import Callable, Iterable
from typing import Final

from marketstream.backfill.account import Account, Hole, holes_of

FIRST_DELAY_S: Final = 0.5
"""Seconds before a hole or beginning that has failed once is retried."""

MOST_DELAY_S: Final = 60.0
"""Maximum seconds before a failed hole or beginning is retried. The delay doubles from FIRST_DELAY_S up to this.

Other holes and beginnings are worked on meanwhile.
"""

MOST_REFUSED_S: Final = 86_400.0
"""Maximum seconds before a refused request is retried: waiting rarely helps, but a refusal proves nothing."""

PATIENCE_S: Final = 60.0
"""Seconds for which the history may lack trades before they are given up, because it may lag behind the feed."""

OLDEST_EACH: Final = 4
"""Every OLDEST_EACH-th attempt is at the oldest hole instead of the newest, and as many are at the smallest."""

HoleKey = tuple[str, int]
"""The topic and the last id of a hole. Its first id changes while the hole is being filled."""


class Attempts:
    """The failed attempts at each hole."""

    def __init__(self) -> None:
        self._tried: dict[HoleKey, Tried] = {}
        self._choices = 0

    def newest_due(
        self, accounts: Iterable[Account], accepts: Callable[[Account], bool] = lambda _: True
    ) -> tuple[Account, Hole] | None:
        """Return the hole to try next, with its account, or None if no hole is due and accepted.

        It is the newest hole, because people look at recent candles. Every OLDEST_EACH-th time it is the oldest, so
        that no hole waits forever, and as often it is the smallest, so that a hole of millions delays no small one.
        """
        holes = {
            (account.topic, hole.last): (account, hole) for account in accounts for hole in holes_of(account.ledger)
        }
        self._tried = {key: tried for key, tried in self._tried.items() if key in holes}
        due = [
            found
            for key, found in holes.items()
            if (key not in self._tried or self._tried[key].is_due()) and accepts(found[0])
        ]
        self._choices += 1
        turn = self._choices % OLDEST_EACH
        if turn == OLDEST_EACH // 2:
            return min(due, key=lambda found: (found[1].last - found[1].first, -found[1].before_us), default=None)
        choose = max if turn else min
        return choose(due, key=lambda found: found[1].before_us, default=None)

    def fail(self, account: Account, hole: Hole) -> None:
        """Postpone a hole for which the exchange has failed, and restart the wait of PATIENCE_S seconds."""
        self._postpone(account, hole).missed_at = None

    def refuse(self, account: Account, hole: Hole) -> float:
        """Postpone a hole for which the exchange has refused the request. Return the seconds until the next attempt."""
        tried = self._tried.setdefault((account.topic, hole.last), Tried())
        tried.missed_at = None
        return tried.postpone(MOST_REFUSED_S)

    def miss(self, account: Account, hole: Hole) -> bool:
        """Postpone a hole whose first trades the history lacks.

        Return True if the history has lacked them for PATIENCE_S seconds and they should be given up.
        """
        tried, now = self._postpone(account, hole), time.monotonic()
        tried.missed_at = now if tried.missed_at is None else tried.missed_at
        return now - tried.missed_at >= PATIENCE_S

    def forget(self, account: Account, hole: Hole) -> None:
        """Forget the attempts at a hole after a part of it was filled or given up: the rest counts as a new hole."""
        self._tried.pop((account.topic, hole.last), None)

    def _postpone(self, account: Account, hole: Hole) -> "Tried":
        tried = self._tried.setdefault((account.topic, hole.last), Tried())
        tried.postpone()
        return tried


class Tried:
    """The failed attempts at one hole or beginning; times are in seconds of the monotonic clock."""

    __slots__ = ("_delay_s", "missed_at", "not_before")

    def __init__(self, first_s: float = FIRST_DELAY_S) -> None:
        self.missed_at: float | None = None
        self.not_before = 0.0
        self._delay_s = first_s

    def is_due(self) -> bool:
        """Return True if the hole or beginning may be tried now."""
        return self.not_before <= time.monotonic()

    def postpone(self, most_s: float = MOST_DELAY_S) -> float:
        """Wait before the next attempt, longer each time. Return the seconds to wait, at most `most_s`."""
        delay_s = min(self._delay_s, most_s)
        self.not_before = time.monotonic() + delay_s
        self._delay_s = min(delay_s * 2, most_s)
        return delay_s
