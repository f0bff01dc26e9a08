"""`marketstream processor`: the processor as a process of its own."""

import asyncio
import gc

from marketstream.exchanges.registry import history_of
from marketstream.processor.service import run_processor
from marketstream.service import Health, health_app, run_until_stopped, serving
from marketstream.settings import Settings
from marketstream.telemetry import configure_logging


def main(settings: Settings) -> None:
    """Run the processor, with health and metrics over HTTP, until SIGTERM or Ctrl-C. Raises as run_processor does."""
    configure_logging(settings.log_level, settings.log_format)
    spare_collector()

    async def run(stop: asyncio.Event) -> None:
        health = Health()
        async with serving(health_app(health), settings.http_host, settings.http_port):
            history = history_of(settings)
            try:
                await run_processor(settings, stop, history=history, health=health)
            finally:
                if history is not None:
                    await history.close()

    run_until_stopped(run)


def spare_collector() -> None:
    """Have Python's garbage collector run less often, and skip the imported modules, which live as long as the process.

    Messages arrive by the thousand, and none is part of a cycle. With its defaults, the collector takes a tenth of the
    CPU time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
