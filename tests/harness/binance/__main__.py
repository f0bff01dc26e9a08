"""`python -m tests.harness.binance`: the exchange for a person, who runs the pipeline against it."""

import argparse
import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

from tests.harness.binance.server import HOST, BinanceServer


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.harness.binance", description=__doc__)
    parser.add_argument("--host", default=HOST, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9443)
    parser.add_argument("--symbols", default="BTCUSDT,ETHUSDT,SOLUSDT", help="of generated trades")
    parser.add_argument("--rate", type=float, default=20.0, help="generated trades a second of each symbol")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--past", type=float, default=600.0, help="seconds of history at the start")
    parser.add_argument("--since", type=int, help="begin of the history in Unix seconds, instead of --past")
    parser.add_argument(
        "--recording", type=Path, help="one of Binance's public dumps (.csv) instead of generated trades"
    )
    parser.add_argument("--speed", type=float, default=1.0, help="of the exchange's clock")
    given = parser.parse_args(arguments)
    if given.recording:
        server = BinanceServer.from_recording(given.recording, speed=given.speed)
    else:
        server = BinanceServer.from_generator(
            given.symbols.split(","), seed=given.seed, trades_per_second=given.rate, past_s=given.past,
            begin_us=None if given.since is None else given.since * 1_000_000, speed=given.speed,
        )  # fmt: skip
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(server, given.port, given.host))


async def _serve(server: BinanceServer, port: int, host: str) -> None:
    await server.start(port, host)
    print(f"export EXCHANGE_WS_URL={server.ws_url} EXCHANGE_REST_URL={server.rest_url}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
