"""A feed without a connection to the exchange: the API says so within seconds."""

from pathlib import Path

import httpx
from marketstream.local.loopback import free_port
from marketstream.settings import Settings

from tests.harness.binance.server import BinanceServer
from tests.harness.clients import within
from tests.integration.live.test_restarts import running

SYMBOLS = ("BTCUSDT", "ETHUSDT")
START_S = 60
NOTICE_S = 8


async def test_an_exchange_that_is_down_is_unreachable_until_it_is_back(settings: Settings, tmp_path: Path) -> None:
    async with BinanceServer.from_generator(SYMBOLS, trades_per_second=5) as server:
        port = free_port()
        settings = settings.but(
            exchange_ws_url=server.ws_url, exchange_rest_url=server.rest_url, http_port=port, symbols=SYMBOLS,
            heartbeat_ms=1000,
        )  # fmt: skip
        async with running(settings, tmp_path), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

            async def all_are(state: str) -> None:
                states = {symbol["symbol"]: symbol["state"] for symbol in (await client.get("/symbols")).json()}
                assert states == dict.fromkeys(SYMBOLS, state)

            await within(START_S, lambda: all_are("live"))
            await server.stop()
            await within(NOTICE_S, lambda: all_are("unreachable"))
            await server.start()
            await within(START_S, lambda: all_are("live"))
