"""Claims the symbols of assigned topics, and sets the reader to where they were left."""

import asyncio
from collections.abc import Mapping

from marketstream.backoff import delays
from marketstream.processor.holdings import Holdings
from marketstream.processor.symbol import OwnedSymbol
from marketstream.settings import Settings
from marketstream.stores.errors import StoreUnavailableError
from marketstream.stores.writer import Key, Writer
from marketstream.streams.consumer import Consumer, ConsumerError
from marketstream.telemetry import logger

log = logger(__name__)


async def claim_symbols(
    settings: Settings, holdings: Holdings, keys: Mapping[str, Key], writer: Writer, consumer: Consumer
) -> None:
    """Claims whatever waits for it, until cancelled. `keys` names the symbol of each topic."""
    while True:
        await holdings.wants_claim.wait()
        for delay in delays(0.1, 5.0):
            holdings.wants_claim.clear()
            try:
                await _claim(settings, holdings, keys, writer, consumer)
                break
            except (StoreUnavailableError, ConsumerError) as error:
                log.warning("symbols cannot be claimed yet", error=str(error), retry_s=round(delay, 1))
            await asyncio.sleep(delay)


async def _claim(
    settings: Settings, holdings: Holdings, keys: Mapping[str, Key], writer: Writer, consumer: Consumer
) -> None:
    topics = {keys[topic]: topic for topic in sorted(holdings.unclaimed)}
    if not topics:
        return
    claims = await writer.claim(topics)
    newest = await writer.newest_closed(topics)
    offsets = await consumer.offsets(topics.values())
    for key, topic in topics.items():
        # Revoked meanwhile: not ours. Assigned again meanwhile: this claim is still good, or its fence tells.
        if topic not in holdings.unclaimed:
            continue
        owned = OwnedSymbol(key, topic, claims[key], newest.get(key), offsets[topic], settings)
        if consumer.read_from(topic, owned.position):
            holdings.own(owned)
            log.info("claimed", **key._asdict(), fence=owned.fence, offset=owned.position)
