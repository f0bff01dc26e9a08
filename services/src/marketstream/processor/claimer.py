"""Claim the symbols of assigned topics, and read each topic from where its last owner stopped."""

import asyncio
import contextlib
from collections.abc import Collection, Mapping

from marketstream.backoff import delays
from marketstream.kafka.consumer import Consumer, Offsets
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
    """Claims symbols whose topics were assigned to this process. `keys` maps a topic to its symbol."""

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
        self._without_offsets: set[str] = set()

    async def run(self) -> None:
        """Claim symbols whenever some wait for it, until cancelled."""
        while True:
            await self._holdings.wants_claim.wait()
            logged: set[str] = set()
            for delay in delays(0.1, 5.0):
                self._holdings.wants_claim.clear()
                try:
                    await self.claim()
                    break
                except (StoreUnavailableError, BrokerUnavailableError) as error:
                    if str(error) not in logged:  # each error once: an outage may last for hours
                        logged.add(str(error))
                        log.warning("claim failed, will retry", error=str(error))
                with contextlib.suppress(TimeoutError):  # topics assigned meanwhile do not wait for the retry
                    async with asyncio.timeout(delay):
                        await self._holdings.wants_claim.wait()

    async def claim(self) -> None:
        """Claim all symbols that wait for it now.

        Raises StoreUnavailableError, or BrokerUnavailableError when Kafka did not report the offsets of some topics.
        In that case the symbols of the other topics are still claimed.
        """
        topics = {self._keys[topic]: topic for topic in sorted(self._holdings.unclaimed)}
        doubtful = {key: topic for key, topic in topics.items() if topic in self._without_offsets}
        if sure := {key: topic for key, topic in topics.items() if key not in doubtful}:
            await self._claim(sure)
        if doubtful:  # a claim of a topic that cannot be read would only raise its fence
            found = await self._offsets(list(doubtful.values()))
            if readable := {key: topic for key, topic in doubtful.items() if topic in found}:
                await self._claim(readable)
        if missing := self._holdings.unclaimed & self._without_offsets:
            raise BrokerUnavailableError(f"Kafka does not report the offsets of {', '.join(sorted(missing)[:3])}")

    async def _claim(self, topics: Mapping[SymbolKey, str]) -> None:
        assignment = self._holdings.assignments
        claims = await self._writer.claim(dict(topics), await self._known_fences(topics))
        newest = await self._writer.newest_closed(topics)
        offsets = await self._offsets(topics.values())
        for key, topic in topics.items():
            # If topics were assigned again meanwhile, another process may have claimed it in between: claim it again.
            if self._holdings.assignments != assignment or topic not in self._holdings.unclaimed:
                continue
            if topic not in offsets:
                continue
            owned = OwnedSymbol(key, topic, claims[key], newest.get(key), offsets[topic], self._settings)
            if self._consumer.read_from(topic, owned.position):
                self._holdings.own(owned)
                stored = claims[key].progress.position
                if stored <= offsets[topic].end:  # otherwise the topic was deleted and created again
                    self._committer.claimed(topic, stored)
                log.info("symbol claimed", **key._asdict(), fence=owned.fence, offset=owned.position)

    async def _offsets(self, topics: Collection[str]) -> dict[str, Offsets]:
        """Return the offsets that Kafka reports, and remember the topics for which it reports none."""
        try:
            found = await self._consumer.offsets(topics)
        except BrokerUnavailableError:
            self._without_offsets |= set(topics)
            raise
        self._without_offsets = (self._without_offsets - set(topics)) | (set(topics) - found.keys())
        return found

    async def _known_fences(self, keys: Collection[SymbolKey]) -> dict[SymbolKey, int]:
        """Return the fences that Redis holds, or none if Redis is unreachable.

        Redis may have outlived the database, so its fences may be higher than those in the database.
        """
        try:
            return dict(zip(keys, await self._live.fences(list(keys)), strict=True))
        except LiveStoreUnavailableError as error:
            log.warning("fences in Redis not available, using those in PostgreSQL", error=str(error))
            return {}
