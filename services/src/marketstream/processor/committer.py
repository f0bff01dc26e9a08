"""Commit candles and progress to PostgreSQL in the background, without blocking the reader."""

import asyncio
import contextlib
import time
from itertools import accumulate
from typing import Final

from marketstream.backoff import delays
from marketstream.kafka.consumer import Consumer
from marketstream.postgres.errors import StoreUnavailableError
from marketstream.postgres.writer import Numbered, SymbolKey, Writer
from marketstream.processor import metrics
from marketstream.processor.holdings import Holdings, reclaim_after_s
from marketstream.processor.symbol import OwnedSymbol
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)

PROGRESS_S: Final = 5.0
"""Seconds after which progress is stored even without candles, so that a restart rereads little."""

PART_CANDLES: Final = 5_000
"""Maximum number of candles in one transaction, unless a single symbol has more."""

GROUP_S: Final = 1.0
"""Seconds between commits of offsets to the consumer group."""


class Committer:
    """Commits one transaction after another, each for all symbols that are due."""

    def __init__(self, settings: Settings, holdings: Holdings, writer: Writer) -> None:
        self._holdings = holdings
        self._writer = writer
        self._reclaim_s = reclaim_after_s(settings)
        self._next_progress = 0.0
        self._taken: list[tuple[OwnedSymbol, Numbered]] = []
        self._stored: dict[str, int] = {}
        self.failing_since: float | None = None
        """Monotonic time of the first failure since the last success."""

    async def run(self) -> None:
        """Commit until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROGRESS_S):
                    await self._holdings.wants_commit.wait()
            self._holdings.wants_commit.clear()
            await self.commit(with_progress=time.monotonic() >= self._next_progress)

    async def commit(self, *, with_progress: bool) -> None:
        """Store the symbols that are due, and, if `with_progress`, all others that have moved.

        It may be cancelled. The commits taken so far are then sent again, before any others, but stored only once.
        """
        await self._send_taken()
        if with_progress:
            self._next_progress = time.monotonic() + PROGRESS_S
        self._taken = [
            (owned, owned.take())
            for owned in self._holdings.owned.values()
            if owned.is_due or (with_progress and owned.has_moved)
        ]
        await self._send_taken()

    async def _send_taken(self) -> None:
        """Send the commits taken until they are stored, or their symbols are no longer owned."""
        if not self._taken:
            self.failing_since = None
            return
        started = time.monotonic()
        waits = delays(0.05, 3.0)
        logged: set[str] = set()
        while self._taken:
            self._taken = [(owned, numbered) for owned, numbered in self._taken if self._is_still_owned(owned)]
            part = _first_part(self._taken)
            try:
                await self._store(part)
                self._taken = self._taken[len(part) :]
                waits = delays(0.05, 3.0)
            except StoreUnavailableError as error:
                delay = next(waits)
                metrics.COMMIT_FAILURES.inc()
                self.failing_since = self.failing_since or time.monotonic()
                if str(error) not in logged:  # each error once: an outage may last for hours
                    logged.add(str(error))
                    log.warning("commit failed, will retry", error=str(error))
                await asyncio.sleep(delay)
        if logged:
            log.info("commits resumed", after_s=round(time.monotonic() - started, 1))
        self.failing_since = None
        metrics.COMMIT_SECONDS.observe(time.monotonic() - started)

    def claimed(self, topic: str, position: int) -> None:
        """Note that the symbol of `topic` was claimed and is stored up to the offset `position`.

        The offset is committed to the consumer group, too. The group may be a new one, and without a record after the
        claim nothing else would commit an offset.
        """
        self._stored[topic] = position

    async def commit_offsets(self, consumer: Consumer) -> None:
        """Commit the stored offsets of the topics to the consumer group, about every second until cancelled."""
        while True:
            await asyncio.sleep(GROUP_S)
            await self.commit_offsets_once(consumer)

    async def commit_offsets_once(self, consumer: Consumer) -> None:
        """Commit to the consumer group the offsets of the topics that were stored since the last call."""
        stored, self._stored = self._stored, {}
        if stored and not await consumer.commit(stored):
            self._stored = stored | self._stored

    async def _store(self, taken: list[tuple[OwnedSymbol, Numbered]]) -> None:
        if not taken:
            return
        by_key: dict[SymbolKey, OwnedSymbol] = {owned.key: owned for owned, _ in taken}
        committed = await self._writer.commit({owned.key: numbered for owned, numbered in taken})
        for owned, numbered in taken:
            if owned.key not in committed.fenced:
                self._stored[owned.topic] = numbered.commit.progress.position
                metrics.CANDLES.inc(len(numbered.commit.candles))
        for key, candle in committed.newest_closed.items():
            by_key[key].newest_closed = candle
        for key, starts in committed.changed.items():
            by_key[key].changed |= starts
        for key in committed.fenced:
            metrics.FENCED.labels(*key).inc()
            log.warning("commit fenced, another process owns the symbol", **key._asdict(), fence=by_key[key].fence)
            if self._is_still_owned(by_key[key]):
                self._holdings.lose(by_key[key].topic, self._reclaim_s)

    def _is_still_owned(self, owned: OwnedSymbol) -> bool:
        return self._holdings.owned.get(owned.topic) is owned


def _first_part(taken: list[tuple[OwnedSymbol, Numbered]]) -> list[tuple[OwnedSymbol, Numbered]]:
    """Return the first commits, at least one, that one transaction can store in time."""
    rows = accumulate(len(numbered.commit.candles) for _, numbered in taken)
    return [part for part, total in zip(taken, rows, strict=True) if total <= PART_CANDLES] or taken[:1]
