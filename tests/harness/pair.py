"""A producer and a processor in this process, as the services run them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from marketstream.exchanges.base import Exchange
from marketstream.processor.service import run_processor
from marketstream.producer.service import run_producer
from marketstream.service import Health
from marketstream.settings import Settings

STOP_S = 60.0
"""Seconds within which both must have ended after the block."""


@contextlib.asynccontextmanager
async def pair(
    settings: Settings,
    feed: Exchange,
    history: Exchange,
    *,
    producer: Health | None = None,
    processor: Health | None = None,
) -> AsyncIterator[None]:
    """Run both inside the block, with the health checks given; neither may end before the block does."""
    stop = asyncio.Event()
    services = [
        asyncio.create_task(run_processor(settings, stop, history=history, health=processor)),
        asyncio.create_task(run_producer(settings, stop, exchange=feed, health=producer)),
    ]
    try:
        yield
        assert not any(service.done() for service in services), "a service has ended"
    finally:
        stop.set()
        async with asyncio.timeout(STOP_S):
            await asyncio.gather(*services)
