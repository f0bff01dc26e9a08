"""The topics that a service uses, each from the moment at which it can be used.

A topic that Kafka refuses to create, does not create in time, or has with more than one partition holds up its own
symbol only: the service begins with the others, and retries this one until it can be used.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

from aiokafka.errors import KafkaError

from marketstream.backoff import delays
from marketstream.kafka.admin import first_error, not_ready, try_topics
from marketstream.kafka.errors import BrokerError, BrokerRefusedError
from marketstream.kafka.topics import named
from marketstream.settings import Settings, SettingsError
from marketstream.telemetry import logger

log = logger(__name__)

SETTLE_S: Final = 2.0
"""Maximum seconds for which a start waits for some topics once others can be used. New topics take a moment."""

FIRST_RETRY_S: Final = 1.0
MOST_RETRY_S: Final = 15.0
"""Seconds between two attempts after the start, doubling from FIRST_RETRY_S to MOST_RETRY_S."""

TRY_S: Final = 30.0
"""Maximum seconds for one attempt."""


class UsableTopics:
    """The topics of a service. Call `begin` first, and then run `run` beside the service."""

    def __init__(self, settings: Settings, topics: Iterable[str]) -> None:
        self.waiting: set[str] = set()
        """The topics without which the service has begun, because they cannot be used yet."""
        self._settings = settings
        self._pending = set(topics)
        self._problems: dict[str, tuple[float, str]] = {}
        self._is_any_usable = asyncio.Event()
        self._joined: Callable[[set[str]], None] = lambda _: None

    def problems(self) -> dict[str, tuple[float, str]]:
        """Return the topics that cannot be used yet, each with the seconds since that was noticed and the reason."""
        now = time.monotonic()
        return {topic: (now - since_s, why) for topic, (since_s, why) in self._problems.items()}

    async def begin(self) -> None:
        """Wait until one of the topics can be used, and up to SETTLE_S seconds for the others.

        If none can be used, raise as `ensure_topics` does. `waiting` then holds the topics that cannot be used yet.
        """
        limit_s, wanted = float(self._settings.start_limit_s), sorted(self._pending)
        last: list[Exception] = []
        settling = asyncio.create_task(self._settle(last), name="topics")
        usable = asyncio.create_task(self._is_any_usable.wait())
        try:
            await asyncio.wait([settling], timeout=min(SETTLE_S, limit_s))
            left_s = max(0.0, limit_s - SETTLE_S)
            await asyncio.wait([settling, usable], timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if settling.done():
                settling.result()
            elif not usable.done():
                raise not_ready(self._settings, wanted, limit_s, last[0] if last else None)
        finally:
            settling.cancel()
            usable.cancel()
            await asyncio.wait([settling, usable])
        self.waiting = set(self._pending)
        for topic in self.waiting:
            self._problems.setdefault(topic, (time.monotonic(), "Kafka has not answered for it"))
        if self.waiting:
            whys = [f"{topic} ({self._problems[topic][1]})" for topic in sorted(self.waiting)]
            log.warning("topics not usable, service begins without them", topics=named(whys))

    async def run(self, joined: Callable[[set[str]], None] = lambda _: None) -> None:
        """Retry the topics in `waiting` until cancelled, and call `joined` with those that can be used now."""
        self._joined = joined
        for delay in delays(FIRST_RETRY_S, MOST_RETRY_S):
            if not self._pending:
                break
            await asyncio.sleep(delay)
            try:
                async with asyncio.timeout(TRY_S):
                    await self._try()
            except (KafkaError, OSError, BrokerError, SettingsError) as error:
                log.debug("topics not tried", error=str(error))
        await asyncio.Event().wait()

    async def _settle(self, last: list[Exception]) -> None:
        """Try the topics until each is usable or refused. Raise BrokerRefusedError if all are refused.

        `last` then holds the last error.
        """
        for delay in delays(0.1, 5.0):
            try:
                failed = await self._try()
                may_pass = {topic: e for topic, e in failed.items() if not isinstance(e, BrokerRefusedError)}
                if not may_pass and self._is_any_usable.is_set():
                    return
                raise first_error(may_pass or failed)
            except (KafkaError, OSError) as error:
                last[:] = [error]
                log.warning("topics not usable yet, will retry", error=str(error), retry_s=round(delay, 1))
            await asyncio.sleep(delay)

    async def _try(self) -> dict[str, Exception]:
        failed = await try_topics(self._settings, sorted(self._pending), self._use)
        now = time.monotonic()
        for topic, error in failed.items():
            since_s, why = self._problems.get(topic, (now, ""))
            if str(error) != why and self.waiting:
                log.warning("topic still not usable", topic=topic, error=str(error))
            self._problems[topic] = (since_s, str(error))
        return failed

    def _use(self, topics: set[str]) -> None:
        if not topics:
            return
        for topic in topics & self._problems.keys():
            since_s, _ = self._problems.pop(topic)
            log.info("topic usable", topic=topic, after_s=round(time.monotonic() - since_s, 1))
        self._pending -= topics
        self.waiting -= topics
        self._is_any_usable.set()
        self._joined(topics)
