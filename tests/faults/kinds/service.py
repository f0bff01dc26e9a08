"""A real producer or processor on the fake Binance: `python -m tests.faults.kinds.service producer|processor CLOCK`.

Its settings come from the environment, and the error of its clock from the file CLOCK.
"""

import asyncio
import sys
from pathlib import Path

from tests.faults.kinds import clock


def main(name: str) -> None:
    """Run until SIGTERM, with shorter times and smaller pages, because the exchange's time is fast."""
    from marketstream.backfill import attempts
    from marketstream.exchanges.binance import endpoints, history
    from marketstream.exchanges.binance.exchange import Binance
    from marketstream.processor.service import run_processor
    from marketstream.producer.service import run_producer
    from marketstream.redis.budget import Budget
    from marketstream.redis.client import connect
    from marketstream.service import run_until_stopped
    from marketstream.settings import Settings
    from marketstream.telemetry import configure_logging

    from tests.faults.kinds.exchange import WEIGHT
    from tests.harness.binance.listener import IMPATIENT

    attempts.PATIENCE_S = 2.0  # type: ignore[misc]  # a hole given up without proof must show within a round
    endpoints.PAGE = history.PAGE = 100  # type: ignore[misc]
    settings = Settings.from_environment()
    configure_logging(settings.log_level)

    async def run(stop: asyncio.Event) -> None:
        exchange = Binance(
            Budget(connect(settings), limit=WEIGHT),
            ws_url=settings.exchange_ws_url, rest_url=settings.exchange_rest_url, timing=IMPATIENT,
        )  # fmt: skip
        try:
            if name == "producer":
                await run_producer(settings, stop, exchange=exchange)
            else:
                await run_processor(settings, stop, history=exchange)
        finally:
            await exchange.close()

    run_until_stopped(run)


if __name__ == "__main__":
    clock.install(Path(sys.argv[2]))
    main(sys.argv[1])
