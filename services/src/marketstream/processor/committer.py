"""Stores what the symbols have come to, beside the reading and not in its way."""

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
"""Seconds after which mere progress is stored too, so that little is read again."""

PART_CANDLES: Final = 5_000
"""Most candles of one transaction, where it is not a single symbol that has more."""

GROUP_S: Final = 1.0
"""Seconds between the offsets told to the consumer group."""


class Committer:
    """Commits, one transaction after another, each for all symbols that wait for one."""

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
        """Commits until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROGRESS_S):
                    await self._holdings.wants_commit.wait()
            self._holdings.wants_commit.clear()
            await self.commit(with_progress=time.monotonic() >= self._next_progress)

    async def commit(self, *, with_progress: bool) -> None:
        """Stores what waits; `with_progress` also that of the symbols that have no candle to store.

        It may be cancelled: what was taken is sent again, and stored once, before anything else.
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
        """Sends what was taken until it is stored, or no longer ours to store."""
        if not self._taken:
            self.failing_since = None
            return
        started = time.monotonic()
        waits = delays(0.05, 3.0)
        told: set[str] = set()
        while self._taken:
            self._taken = [(owned, numbered) for owned, numbered in self._taken if self._is_still_ours(owned)]
            part = _first_part(self._taken)
            try:
                await self._store(part)
                self._taken = self._taken[len(part) :]
                waits = delays(0.05, 3.0)
            except StoreUnavailableError as error:
                delay = next(waits)
                metrics.COMMIT_FAILURES.inc()
                self.failing_since = self.failing_since or time.monotonic()
                if str(error) not in told:  # once of each kind: it may last for hours
                    told.add(str(error))
                    log.warning("commit failed; it is sent again until it is stored", error=str(error))
                await asyncio.sleep(delay)
        if told:
            log.info("commits go on", after_s=round(time.monotonic() - started, 1))
        self.failing_since = None
        metrics.COMMIT_SECONDS.observe(time.monotonic() - started)

    def claimed(self, topic: str, position: int) -> None:
        """The symbol of the topic is claimed, and was stored up to the position. The group is told so, too: it may be
        a new one, and where no record comes after the claim, nothing else would tell it."""
        self._stored[topic] = position

    async def tell_group(self, consumer: Consumer) -> None:
        """Tells the consumer group, about every second, how far its topics are stored; until cancelled."""
        while True:
            await asyncio.sleep(GROUP_S)
            await self.tell_group_once(consumer)

    async def tell_group_once(self, consumer: Consumer) -> None:
        """Tells the consumer group how far the topics are stored that were stored since it was last told."""
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
            log.warning("fenced: another process owns the symbol", **key._asdict(), fence=by_key[key].fence)
            if self._is_still_ours(by_key[key]):
                self._holdings.lose(by_key[key].topic, self._reclaim_s)

    def _is_still_ours(self, owned: OwnedSymbol) -> bool:
        return self._holdings.owned.get(owned.topic) is owned


def _first_part(taken: list[tuple[OwnedSymbol, Numbered]]) -> list[tuple[OwnedSymbol, Numbered]]:
    """As many of the symbols as one transaction should hold, so that its statements end in time: at least one."""
    rows = accumulate(len(numbered.commit.candles) for _, numbered in taken)
    return [part for part, total in zip(taken, rows, strict=True) if total <= PART_CANDLES] or taken[:1]
