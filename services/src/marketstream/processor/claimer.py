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


async def claim_symbols(
    settings: Settings,
    holdings: Holdings,
    keys: Mapping[str, SymbolKey],
    writer: Writer,
    live: LiveWriter,
    consumer: Consumer,
    committer: Committer,
) -> None:
    """Claims whatever waits for it, until cancelled. `keys` names the symbol of each topic."""
    while True:
        await holdings.wants_claim.wait()
        told: set[str] = set()
        for delay in delays(0.1, 5.0):
            holdings.wants_claim.clear()
            try:
                await _claim(settings, holdings, keys, writer, live, consumer, committer)
                break
            except (StoreUnavailableError, BrokerUnavailableError) as error:
                if str(error) not in told:  # once of each kind: it may last for hours
                    told.add(str(error))
                    log.warning("symbols cannot be claimed yet; trying until they are", error=str(error))
            await asyncio.sleep(delay)


async def _claim(
    settings: Settings,
    holdings: Holdings,
    keys: Mapping[str, SymbolKey],
    writer: Writer,
    live: LiveWriter,
    consumer: Consumer,
    committer: Committer,
) -> None:
    topics = {keys[topic]: topic for topic in sorted(holdings.unclaimed)}
    if not topics:
        return
    assignment = holdings.assignments
    claims = await writer.claim(topics, await _known_fences(live, topics))
    newest = await writer.newest_closed(topics)
    offsets = await consumer.offsets(topics.values())
    for key, topic in topics.items():
        # Assigned anew meanwhile: another may have claimed it in between, so it is claimed again.
        if holdings.assignments != assignment or topic not in holdings.unclaimed:
            continue
        owned = OwnedSymbol(key, topic, claims[key], newest.get(key), offsets[topic], settings)
        if consumer.read_from(topic, owned.position):
            holdings.own(owned)
            stored = claims[key].progress.position
            if stored <= offsets[topic].end:  # else it is of a topic that was there before this one
                committer.claimed(topic, stored)
            log.info("claimed", **key._asdict(), fence=owned.fence, offset=owned.position)


async def _known_fences(live: LiveWriter, keys: Collection[SymbolKey]) -> dict[SymbolKey, int]:
    """The fences that Redis knows: it may have outlived the database. Without Redis, those of the database count."""
    try:
        return dict(zip(keys, await live.fences(list(keys)), strict=True))
    except LiveStoreUnavailableError as error:
        log.warning("Redis cannot be asked for its fences", error=str(error))
        return {}
