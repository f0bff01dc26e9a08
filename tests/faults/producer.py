"""The real producer on the unreliable exchange, as a process: `python -m tests.faults.producer SEED BEGAN_US`.

Its settings come from the environment.
"""

import asyncio
import sys

from marketstream.producer.service import run_producer
from marketstream.service import run_until_stopped
from marketstream.settings import Settings
from marketstream.telemetry import configure_logging

from tests.faults.exchange import UnreliableExchange


def main(seed: str, began_us: str) -> None:
    """Run until SIGTERM."""
    settings = Settings.from_environment()
    configure_logging(settings.log_level)
    exchange = UnreliableExchange(int(seed), int(began_us))

    async def run(stop: asyncio.Event) -> None:
        await run_producer(settings, stop, exchange=exchange)

    run_until_stopped(run)


if __name__ == "__main__":
    main(*sys.argv[1:])
