"""`marketstream producer`: the producer as a process of its own."""

import asyncio

from marketstream.producer.service import run_producer
from marketstream.service import Health, health_app, run_until_stopped, serving
from marketstream.settings import Settings
from marketstream.telemetry import configure_logging


def main(settings: Settings) -> None:
    """Run the producer, with health and metrics over HTTP, until SIGTERM or Ctrl-C. Raises as run_producer does."""
    configure_logging(settings.log_level, settings.log_format)

    async def run(stop: asyncio.Event) -> None:
        health = Health()
        async with serving(health_app(health), settings.http_host, settings.http_port):
            await run_producer(settings, stop, health=health)

    run_until_stopped(run)
