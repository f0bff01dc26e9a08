"""The processor as a process of its own."""

import asyncio

from marketstream.processor.service import run_processor
from marketstream.service import Health, health_app, run_until_stopped, serving
from marketstream.settings import Settings
from marketstream.telemetry import configure_logging


def main(settings: Settings) -> None:
    """Runs the processor, with its health and metrics over HTTP, until SIGTERM or Ctrl-C."""
    configure_logging(settings.log_level, settings.log_format)

    async def run(stop: asyncio.Event) -> None:
        health = Health()
        async with serving(health_app(health), settings.http_host, settings.http_port):
            await run_processor(settings, stop, health=health)

    run_until_stopped(run)
