"""`marketstream producer`: a process of its own."""

import asyncio

from marketstream.producer.service import run_producer
from marketstream.service import Health, health_app, run_until_stopped, serving
from marketstream.settings import Settings
from marketstream.telemetry import configure_logging


def main(settings: Settings) -> None:
    """Runs the producer until SIGTERM or Ctrl-C. Raises what run_producer raises."""
    configure_logging(settings.log_level, settings.log_format)

    async def run(stop: asyncio.Event) -> None:
        health = Health()
        async with serving(health_app(health), settings.http_host, settings.http_port):
            await run_producer(settings, stop, health=health)

    run_until_stopped(run)
