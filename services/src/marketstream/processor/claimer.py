"""Claims the symbols of assigned topics, and sets the reader to where they were left."""

import asyncio
from collections.abc import Collection, Mapping

from marketstream.backoff import delays
from marketstream.kafka.consumer import Consumer
from marketstream.kafka.errors import BrokerUnavailableError
from marketstream.postgres.errors import StoreUnavailableError
from marketstream.postgres.writer import SymbolKey, Writer
from marketstream.processor.committer import Committer
from marketstream.processor.holdings import Holdings
from marketstream.processor.symbol import OwnedSymbol
from marketstream.redis.errors import LiveStoreUnavailableError
from marketstream.redis.writer import LiveWriter
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)


class Claimer:
    """Claims the symbols of the topics that wait for it. `keys` names the symbol of each topic."""

    def __init__(
        self,
        settings: Settings,
        holdings: Holdings,
        keys: Mapping[str, SymbolKey],
        *,
        writer: Writer,
        live: LiveWriter,
        consumer: Consumer,
        committer: Committer,
    ) -> None:
        self._settings = settings
        self._holdings = holdings
        self._keys = keys
        self._writer = writer
        self._live = live
        self._consumer = consumer
        self._committer = committer

    async def run(self) -> None:
        """Claims whatever waits for it, until cancelled."""
        while True:
            await self._holdings.wants_claim.wait()
            told: set[str] = set()
            for delay in delays(0.1, 5.0):
                self._holdings.wants_claim.clear()
                try:
                    await self.claim()
                    break
                except (StoreUnavailableError, BrokerUnavailableError) as error:
                    if str(error) not in told:  # once of each kind: it may last for hours
                        told.add(str(error))
                        log.warning("symbols cannot be claimed yet; trying until they are", error=str(error))
                await asyncio.sleep(delay)

    async def claim(self) -> None:
        """Claims what waits for it now. Raises StoreUnavailableError, BrokerUnavailableError."""
        topics = {self._keys[topic]: topic for topic in sorted(self._holdings.unclaimed)}
        if not topics:
            return
        assignment = self._holdings.assignments
        claims = await self._writer.claim(topics, await self._known_fences(topics))
        newest = await self._writer.newest_closed(topics)
        offsets = await self._consumer.offsets(topics.values())
        for key, topic in topics.items():
            # Assigned anew meanwhile: another may have claimed it in between, so it is claimed again.
            if self._holdings.assignments != assignment or topic not in self._holdings.unclaimed:
                continue
            owned = OwnedSymbol(key, topic, claims[key], newest.get(key), offsets[topic], self._settings)
            if self._consumer.read_from(topic, owned.position):
                self._holdings.own(owned)
                stored = claims[key].progress.position
                if stored <= offsets[topic].end:  # else it is of a topic that was there before this one
                    self._committer.claimed(topic, stored)
                log.info("claimed", **key._asdict(), fence=owned.fence, offset=owned.position)

    async def _known_fences(self, keys: Collection[SymbolKey]) -> dict[SymbolKey, int]:
        """Return the fences that Redis knows, which may have outlived the database; none without Redis."""
        try:
            return dict(zip(keys, await self._live.fences(list(keys)), strict=True))
        except LiveStoreUnavailableError as error:
            log.warning("Redis cannot be asked for its fences", error=str(error))
            return {}
