"""Run a fake Binance on loopback, and print the environment that makes a pipeline use it."""

import argparse
import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

from tests.harness.binance.server import HOST, BinanceServer


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.harness.binance", description=__doc__)
    parser.add_argument("--host", default=HOST, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9443, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--symbols", default="BTCUSDT,ETHUSDT,SOLUSDT", help="symbols of generated trades (default: %(default)s)"
    )
    parser.add_argument(
        "--rate", type=float, default=20.0, help="generated trades per second and symbol (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of generated trades (default: %(default)s)")
    parser.add_argument(
        "--past", type=float, default=600.0, help="seconds of history at the start (default: %(default)s)"
    )
    parser.add_argument("--since", type=int, help="start of the history in Unix seconds, instead of --past")
    parser.add_argument(
        "--recording", type=Path, help="trade dump of Binance (.csv) to play instead of generated trades"
    )
    parser.add_argument("--speed", type=float, default=1.0, help="speed of the exchange's clock (default: %(default)s)")
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
