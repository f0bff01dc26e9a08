"""The producer as a whole: when its parts start, and how they end."""

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
"""Seconds that a stop may take to hand over what was packed; Kafka may be away."""


async def run_producer(
    settings: Settings,
    stop: asyncio.Event,
    *,
    exchange: Exchange | None = None,
    health: Health | None = None,
    ready: asyncio.Event | None = None,
) -> None:
    """Publishes the feed of the settings' exchange, or of `exchange`, until `stop` is set; then sends what was heard.

    Sets `ready` when topics and Kafka are there and the feed is being read. A feed or a Kafka that breaks is taken
    anew; what cannot mend itself (no such symbol or recording, a topic of two partitions) is raised: ExchangeError,
    BrokerError, SettingsError.
    """
    symbols = symbols_of(settings)
    topic_names(settings.topic_prefix, settings.exchange, symbols)  # raises where two would share a topic
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
        await run_until(stop, reading, pipeline.send(), *map(pipeline.beat, symbols))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await pipeline.send_packed()
    finally:
        await pipeline.close()
        if exchange is None:  # one that was given belongs to the caller
            await opened.close()
