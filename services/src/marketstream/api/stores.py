"""Looks after the stores, so that readiness says which one is away."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from marketstream.api.problems import RETRY_AFTER_S
from marketstream.backoff import delays
from marketstream.postgres.errors import StoreError
from marketstream.redis.errors import LiveStoreError
from marketstream.telemetry import logger

log = logger(__name__)

EVERY_S: Final = float(RETRY_AFTER_S)
"""Seconds between two looks at a store that answers."""


class Watch:
    """Looks at one store again and again, more often after it went away than while it answers."""

    def __init__(self, name: str, probe: Callable[[], Awaitable[None]]) -> None:
        """`probe` raises StoreError or LiveStoreError when the store is of no use now."""
        self._name = name
        self._probe = probe
        self._problem: str | None = "not asked yet"

    def problem(self) -> str | None:
        """What is wrong with the store, None when it answers: a check of readiness."""
        return self._problem

    async def run(self) -> None:
        """Watches until it is cancelled."""
        waits = _waits()
        while True:
            try:
                await self._probe()
            except (StoreError, LiveStoreError) as error:
                self._note(str(error))
                await asyncio.sleep(next(waits))
            except Exception as error:  # noqa: BLE001  whatever it is, only another look can find that it is over
                self._note(f"{type(error).__name__}: {error}", error)
                await asyncio.sleep(next(waits))
            else:
                self._note(None)
                waits = _waits()
                await asyncio.sleep(EVERY_S)

    def _note(self, problem: str | None, unexpected: Exception | None = None) -> None:
        if problem != self._problem and problem:
            log.warning("a store is away", store=self._name, error=problem, exc_info=unexpected)
        elif problem != self._problem:
            log.info("a store answers", store=self._name)
        self._problem = problem


def _waits() -> Iterator[float]:
    """Seconds between two looks at a store that is away."""
    return delays(0.1, EVERY_S)
