"""`marketstream local` with the exchange at the addresses EXCHANGE_WS_URL and EXCHANGE_REST_URL."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from marketstream.local.loopback import free_port
from marketstream.settings import Settings

from tests.harness.binance.server import BinanceServer
from tests.harness.clients import within
from tests.integration.local.test_run import running

LIMIT_S = 60
SYMBOLS = ("BTCUSDT", "ETHUSDT")
OPTIONS = ("--exchange", "binance", "--symbols", ",".join(SYMBOLS))


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BinanceServer]:
    async with BinanceServer.from_generator(SYMBOLS, trades_per_second=20, past_s=30) as started:
        monkeypatch.setenv("EXCHANGE_WS_URL", started.ws_url)
        monkeypatch.setenv("EXCHANGE_REST_URL", started.rest_url)
        yield started


async def test_an_exchange_that_answers_is_served(server: BinanceServer, tmp_path: Path) -> None:
    async with running(tmp_path / "data", *OPTIONS) as run:
        async with httpx.AsyncClient(base_url=await run.address()) as client:

            async def live_and_complete() -> None:
                symbols = (await client.get("/symbols")).json()
                assert [(one["exchange"], one["symbol"], one["state"]) for one in symbols] == [
                    ("binance", symbol, "live") for symbol in SYMBOLS
                ]
                for symbol in SYMBOLS:
                    candles = (await client.get("/candles", params={"symbol": symbol})).json()
                    assert [candle["complete"] for candle in candles] == [True] * max(1, len(candles))

            await within(LIMIT_S, live_and_complete)
            price = (await client.get("/price")).json()
        known = {trade.id: trade.price for trade in server.markets["BTCUSDT"].trades}
        assert float(known[price["trade_id"]]) == float(price["price"])
        assert f"MarketStream is running: {', '.join(SYMBOLS)} from binance" in run.said
        assert "simulat" not in run.said


@pytest.fixture
def with_servers(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the servers of the tests into the environment, because starting the command's own servers takes long."""
    for name, value in settings.but(http_port=8000, symbols=(), exchange="").to_environment().items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("with_servers")
async def test_an_unreachable_address_is_reported_and_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("EXCHANGE_WS_URL", f"ws://{address}")
    monkeypatch.setenv("EXCHANGE_REST_URL", f"http://{address}")
    async with running(tmp_path / "data", *OPTIONS) as run:
        async with httpx.AsyncClient(base_url=await run.address()) as client:

            async def simulated() -> None:
                symbols = (await client.get("/symbols")).json()
                assert [(one["exchange"], one["symbol"], one["state"]) for one in symbols] == [
                    ("simulator", symbol, "simulated") for symbol in SYMBOLS
                ]

            await within(LIMIT_S, simulated)
        assert "binance is unreachable" in run.said
        assert "running the simulator instead, stored under the exchange `simulator`" in run.said
        assert "from simulator\n" in run.said


@pytest.mark.usefixtures("with_servers")
async def test_the_error_names_symbols_of_which_none_is_listed(server: BinanceServer, tmp_path: Path) -> None:
    async with running(tmp_path / "data", "--exchange", "binance", "--symbols", "NOPEUSDT,BTCUSD") as run:
        output, _ = await asyncio.wait_for(run.process.communicate(), LIMIT_S)
    assert run.process.returncode == 2
    last = output.decode().splitlines()[-1]
    assert last.startswith("marketstream local: Binance does not list NOPEUSDT, BTCUSD: expected")


@pytest.mark.usefixtures("with_servers")
async def test_an_unlisted_symbol_is_named_and_the_others_run(
    server: BinanceServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAX_AGE_S", "30")  # half of it without a trade, and the exchange is asked
    async with running(tmp_path / "data", "--exchange", "binance", "--symbols", "BTCUSDT,NOPEUSDT") as run:
        async with httpx.AsyncClient(base_url=await run.address()) as client:

            async def states() -> None:
                found = {each["symbol"]: each["state"] for each in (await client.get("/symbols")).json()}
                assert found["BTCUSDT"] == "live", found
                assert found["NOPEUSDT"] == "unlisted", found

            await within(3 * LIMIT_S, states)
        assert "Binance does not list NOPEUSDT" in run.said
