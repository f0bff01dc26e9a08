"""Markets without a trade since the start: quiet, with the last price if there ever was one, and never stale."""

import time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import httpx
from marketstream.local.loopback import free_port
from marketstream.settings import Settings

from tests.harness.binance.clock import ExchangeClock
from tests.harness.binance.server import BinanceServer
from tests.harness.binance.sources import ServerTrade
from tests.harness.clients import within
from tests.integration.live.test_restarts import restart, running

NEVER: Final = "NEVERUSDT"
LIMIT_S: Final = 90
MAX_AGE_S: Final = 30
AGES_S: Final = (3_600, 3 * 24 * 3_600)
"""Seconds since the last trade: within the day that the ticker knows, and before it."""


async def test_a_market_quiet_from_the_beginning_is_quiet_with_its_last_price(
    settings: Settings, tmp_path: Path
) -> None:
    now_us = time.time_ns() // 1000
    olds = [f"OLD{age_s}USDT" for age_s in AGES_S]
    markets = {
        name: [ServerTrade(number, now_us - age_s * 1_000_000 + number, "12.50000000", "1.00000000", True)
               for number in range(5)]
        for name, age_s in zip(olds, AGES_S, strict=True)
    }  # fmt: skip
    async with BinanceServer({**markets, NEVER: []}, ExchangeClock(now_us)) as server:
        port = free_port()
        settings = settings.but(
            exchange_ws_url=server.ws_url, exchange_rest_url=server.rest_url, http_port=port, heartbeat_ms=1000,
            symbols=(*olds, NEVER), max_age_s=MAX_AGE_S,
        )  # fmt: skip
        async with (
            running(settings, tmp_path) as services,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
        ):

            async def found() -> dict[str, dict[str, Any]]:
                return {symbol["symbol"]: symbol for symbol in (await client.get("/symbols")).json()}

            async def all_are_quiet() -> None:
                symbols = await found()
                assert {name: symbol["state"] for name, symbol in symbols.items()} == dict.fromkeys(symbols, "quiet")
                for name, age_s in zip(olds, AGES_S, strict=True):
                    assert Decimal(symbols[name]["price"]) == Decimal("12.5")
                    assert abs(symbols[name]["last_trade_time"] - (now_us / 1e6 - age_s)) < 1
                assert symbols[NEVER]["price"] is None

            await within(LIMIT_S, all_are_quiet)
            await restart([services["processor"]], "killed")
            await within(LIMIT_S, all_are_quiet)
            until = {name: symbol["heard_until"] for name, symbol in (await found()).items()}

            async def is_proven_again() -> None:
                symbols = await found()
                assert all(symbols[name]["heard_until"] > until[name] for name in symbols)
                await all_are_quiet()

            await within(LIMIT_S, is_proven_again)
            candles = (await client.get("/candles", params={"symbol": olds[0], "interval": "10s", "limit": 60})).json()
            assert len(candles) == 60
            assert all(candle["complete"] and candle["trade_count"] == 0 for candle in candles)
