"""The page in a real browser, over real stores and a real API process."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from marketstream.api.page import STATIC
from marketstream.local.loopback import free_port
from marketstream.local.servers import EmbeddedServers
from marketstream.settings import Settings
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.browser.market import Market
from tests.harness.needs import PROJECT

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
ARTEFACTS = PROJECT / "artefacts"
LIMIT_S = 30
expect.set_options(timeout=LIMIT_S * 1000)  # the 5 s of its own are less than a page may take to come back to its API


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "zone(name): the time zone of the browser")
    config.addinivalue_line("markers", "told(*parts): the browser's console may say lines with one of these in them")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip these tests without a browser or the page's packages, except in CI, which must have both."""
    missing = [
        *([f"no browser at {CHROMIUM}: apt install chromium, or set CHROMIUM"] if not CHROMIUM.exists() else []),
        *(["the page's packages are not installed: run make"] if not (STATIC / "node_modules").is_dir() else []),
    ]
    if missing and os.environ.get("CI") != "true":
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="; ".join(missing)))


@pytest.fixture(scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedServers]:
    """PostgreSQL and Redis for all tests of the session: the page needs no Kafka."""
    async with EmbeddedServers(tmp_path_factory.mktemp("servers"), kafka_bootstrap="none:0") as embedded:
        yield embedded


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url, http_host="127.0.0.1", http_port=free_port())


@pytest.fixture
async def market(settings: Settings) -> AsyncIterator[Market]:
    async with Market(settings) as market:
        yield market


class Api:
    """The API as a process that can be stopped and started again at the same address."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.url = f"http://127.0.0.1:{settings.http_port}"

    async def start(self, *, path: str = "/readyz") -> None:
        """Start, and wait until it answers at `path`: by default, until its stores answer as well."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "marketstream", "api",
            env=self._settings.but(log_level="warning").to_environment(),
        )  # fmt: skip
        async with asyncio.timeout(LIMIT_S), httpx.AsyncClient(base_url=self.url) as client:
            while not await _answers(client, path):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)

    @property
    def pid(self) -> int:
        """ID of the process."""
        return self._process.pid

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(LIMIT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            raise

    async def get(self, path: str, **query: Any) -> Any:
        async with httpx.AsyncClient(base_url=self.url) as client:
            return (await client.get(path, params=query)).raise_for_status().json()


async def _answers(client: httpx.AsyncClient, path: str) -> bool:
    try:
        return (await client.get(path)).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
async def api(settings: Settings, market: Market) -> AsyncIterator[Api]:
    api = Api(settings)
    await api.start()
    yield api
    await api.stop()


@pytest.fixture
async def page(browser: Browser, api: Api, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A page of desktop size. A screenshot of its end is kept in artefacts/.

    Errors and warnings in its console fail the test, except those with the arguments of the marker `told`.
    """
    marker = request.node.get_closest_marker("told")
    told = marker.args if marker else ()
    complaints: list[str] = []
    zone = request.node.get_closest_marker("zone")
    context = await browser.new_context(
        viewport={"width": 1440, "height": 900}, timezone_id=zone.args[0] if zone else None
    )
    page = await context.new_page()
    page.set_default_timeout(LIMIT_S * 1000)
    page.on("console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else 0)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    ARTEFACTS.mkdir(exist_ok=True)
    yield page
    await page.screenshot(path=ARTEFACTS / f"{request.node.name}.png")
    await context.close()
    assert [text for text in complaints if not any(part in text for part in told)] == []
