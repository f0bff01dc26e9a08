"""Every process of the pipeline is stopped and killed while trades flow: no hole remains, and nothing is wrong."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from marketstream.local.loopback import free_port
from marketstream.settings import Settings

from tests.faults.service import Service
from tests.harness.binance.server import BinanceServer
from tests.harness.clients import within
from tests.integration.live.exchange import live_server
from tests.integration.live.watch import LIMIT_S, Watch

NAMES: Final = ("processor", "producer", "api")
RATES: Final = {"BTCUSDT": 10.0, "ETHUSDT": 4.0, "XMRUSDT": 0.5}
"""Trades per exchange second; the last symbol leaves some windows empty."""


@contextlib.asynccontextmanager
async def running(settings: Settings, logs: Path) -> AsyncIterator[dict[str, Service]]:
    """Run the three services as processes, `python -m marketstream …`."""
    ports = {"producer": 0, "processor": 0, "api": settings.http_port}
    services = {
        name: Service(name, ["marketstream", name], settings.but(http_port=port), logs / f"{name}.log")
        for name, port in ports.items()
    }
    try:
        for service in services.values():
            service.start()
        yield services
    finally:
        for service in services.values():
            service.close()


async def test_after_every_restart_nothing_is_missing_or_wrong(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with live_server(RATES) as server:
        port = free_port()
        settings = settings.but(
            exchange_ws_url=server.ws_url, exchange_rest_url=server.rest_url, http_port=port,
        )  # fmt: skip
        watch = Watch(settings, server, api_url=f"http://127.0.0.1:{port}")
        took: dict[str, float] = {}
        async with watch.watching(), running(settings, tmp_path) as services:
            took["start"] = await watch.healed()
            for names in (*[(name,) for name in NAMES], NAMES):
                for how in ("stopped", "killed"):
                    what, fetched = f"{' '.join(names)} {how}", fetches(server)
                    try:
                        await restart([services[name] for name in names], how)
                        took[what] = await watch.healed()
                        await within(LIMIT_S, lambda: all_answer(settings, services))
                        assert fetches(server) > fetched or "producer" not in names, "nothing was missed"
                    except BaseException as error:
                        error.add_note(f"after {what}; before, in s: {took}")
                        raise
        print("complete again after, in s:", {name: round(seconds, 1) for name, seconds in took.items()})
        print(f"{watch.looks} looks, {watch.claims} claims, {watch.answers} answers of the API")
        await watch.assert_all_as_it_was()


async def restart(services: list[Service], how: str) -> None:
    """Stop the services gracefully, or kill them, and start them again."""
    for service in services:
        if how == "killed":
            service.kill()
        else:
            await service.terminate()
    for service in services:
        service.start()


def fetches(server: BinanceServer) -> int:
    """Return the number of requests for trades of the history."""
    return sum(path.endswith("historicalTrades") for path, _ in server.rest.requests)


async def all_answer(settings: Settings, services: dict[str, Service]) -> None:
    """Assert that all services run, and that the API is ready and has live prices of all symbols."""
    for service in services.values():
        service.assert_alive()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.http_port}") as client:
        assert (await client.get("/readyz")).status_code == 200
        symbols = (await client.get("/symbols")).json()
        assert {symbol["symbol"] for symbol in symbols if symbol["price"]} == set(settings.symbols)
