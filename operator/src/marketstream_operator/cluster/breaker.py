"""A breaker for objects that somebody else keeps changing back: without it, both would roll their pods for ever."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from marketstream.telemetry import logger

from marketstream_operator import metrics
from marketstream_operator.kinds import Kind

log = logger(__name__)

Written = tuple[Kind, str, str]
"""An object by its kind, namespace and name."""

MOST: Final = 20
REFILL_S: Final = 300.0
"""An object may be reverted MOST times, and once more every REFILL_S seconds: people edit by hand, and may err."""


@dataclass(slots=True)
class _Budget:
    filled: float
    left: float = MOST
    is_refused: bool = False
    """True if a write was left out since the last one that was made."""


class Breaker:
    """Counts reverts: writes of an object as it was last written, which somebody has changed in between.

    A write for a new spec or new settings is no revert. `clock` is monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[Written, str] = {}
        """The digest with which each object was last written."""
        self._budgets: dict[Written, _Budget] = {}
        """The budgets of objects that were reverted. Full ones are removed."""

    def allows(self, written: Written, digest: str) -> bool:
        """Return True if an existing object may be written with this digest."""
        if self._last.get(written) != digest or not self._is_spent(written):
            return True
        kind, namespace, name = written
        budget = self._budgets[written]
        if not budget.is_refused:
            budget.is_refused = True
            log.warning(
                "object keeps being changed, left alone",
                kind=kind.name, namespace=namespace, name=name, reverts=MOST, retry_s=REFILL_S,
            )  # fmt: skip
        metrics.WRITES_STOPPED.labels(kind.plural).inc()
        return False

    def count(self, written: Written, digest: str) -> None:
        """Count a write that has succeeded."""
        if self._last.get(written) == digest:
            budget = self._budgets.setdefault(written, _Budget(self._clock()))
            budget.left -= 1
            budget.is_refused = False
        else:
            self._last[written] = digest
            self._budgets.pop(written, None)

    def has_stopped(self, written: Written) -> bool:
        """Return True if an object is left alone although it differs from what is wanted."""
        return self._is_spent(written) and self._budgets[written].is_refused

    def _is_spent(self, written: Written) -> bool:
        if written not in self._budgets:
            return False
        self._fill()
        return written in self._budgets and self._budgets[written].left < 1

    def forget(self, written: Written) -> None:
        """Forget an object that was deleted."""
        self._last.pop(written, None)
        self._budgets.pop(written, None)

    def _fill(self) -> None:
        now = self._clock()
        for written, budget in list(self._budgets.items()):
            budget.left += (now - budget.filled) / REFILL_S
            budget.filled = now
            if budget.left >= MOST:
                del self._budgets[written]
