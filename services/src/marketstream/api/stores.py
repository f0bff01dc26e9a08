"""Probe the stores, so that readiness names the store that is unavailable."""

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
"""Seconds between two probes of a store that answers."""


class Watch:
    """Periodic probe of one store. An unavailable store is probed more often at first."""

    def __init__(self, name: str, probe: Callable[[], Awaitable[None]]) -> None:
        """`probe` raises StoreError or LiveStoreError while the store cannot be used."""
        self._name = name
        self._probe = probe
        self._problem: str | None = "not checked yet"

    def problem(self) -> str | None:
        """Return the problem of the store, or None if it answers. This is a check of readiness."""
        return self._problem

    async def run(self) -> None:
        """Probe the store until cancelled."""
        waits = _waits()
        while True:
            try:
                await self._probe()
            except (StoreError, LiveStoreError) as error:
                self._note(str(error))
                await asyncio.sleep(next(waits))
            except Exception as error:  # noqa: BLE001  only another probe can find that the error has passed
                self._note(f"{type(error).__name__}: {error}", error)
                await asyncio.sleep(next(waits))
            else:
                self._note(None)
                waits = _waits()
                await asyncio.sleep(EVERY_S)

    def _note(self, problem: str | None, unexpected: Exception | None = None) -> None:
        if problem != self._problem and problem:
            log.warning("store unavailable", store=self._name, error=problem, exc_info=unexpected)
        elif problem != self._problem:
            log.info("store available", store=self._name)
        self._problem = problem


def _waits() -> Iterator[float]:
    """Return the seconds between probes of an unavailable store."""
    return delays(0.1, EVERY_S)
