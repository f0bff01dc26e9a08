"""The producer as a whole: the start and the end of its parts."""

import asyncio
import contextlib
from typing import Final

from marketstream.exchanges.base import Exchange
from marketstream.exchanges.registry import open_exchange, symbols_of
from marketstream.kafka.topics import topic_names
from marketstream.producer.pipeline import Pipeline
from marketstream.service import Health, run_until
from marketstream.settings import Settings

FLUSH_S: Final = 1.5
"""Maximum seconds at a stop to hand the packed records to Kafka, which may be unreachable."""


async def run_producer(
    settings: Settings,
    stop: asyncio.Event,
    *,
    exchange: Exchange | None = None,
    health: Health | None = None,
    ready: asyncio.Event | None = None,
) -> None:
    """Publish the feed of the settings' exchange, or of `exchange`, until `stop` is set; then send the packed records.

    `ready` is set once Kafka and at least one topic are available and the feed is being read. A feed or a connection to
    Kafka that breaks is restarted. Raise ExchangeError, BrokerError or SettingsError for problems that retrying does
    not solve: a missing symbol or recording, or nothing but topics with two partitions.
    """
    symbols = symbols_of(settings)
    topic_names(settings.topic_prefix, settings.exchange, symbols)  # raises SettingsError if two would share a topic
    opened = exchange or open_exchange(settings)
    pipeline = Pipeline(settings, opened, symbols)
    health = health or Health()
    started = asyncio.Event()
    health.add("start", lambda: None if started.is_set() else "the feed is not being read yet")
    try:
        if not await run_until(stop, pipeline.open()):
            return
        reading = asyncio.create_task(pipeline.read(), name="feed")
        health.watch("feed", reading)
        health.add("exchange", pipeline.feed_problem)
        health.add("kafka", pipeline.kafka_problem)
        started.set()
        if ready is not None:
            ready.set()
        works = [pipeline.send(), pipeline.measure(), pipeline.watch_listings(), pipeline.watch_topics()]
        await run_until(stop, reading, *works, *map(pipeline.beat, symbols))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await pipeline.send_packed()
    finally:
        await pipeline.close()
        if exchange is None:  # an exchange that was given belongs to the caller
            await opened.close()
