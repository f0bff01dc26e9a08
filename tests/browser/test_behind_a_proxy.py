"""The dashboard and the documentation of the API, in a browser that reaches nothing but the API or nginx before it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import Api
from tests.browser.market import Market
from tests.browser.test_dashboard import READY
from tests.harness.nginx import nginx


@pytest.fixture
async def proxied(api: Api, tmp_path: Path) -> AsyncIterator[str]:
    """The URL under which nginx serves the API."""
    async with nginx(tmp_path, api.url) as url:
        yield f"{url}/ms"


@pytest.fixture
async def elsewhere(page: Page) -> list[str]:
    """The addresses of other hosts that the page requests, none of which can be reached."""
    requested: list[str] = []

    async def only_here(route: Route) -> None:
        if route.request.url.startswith("http://127.0.0.1:"):
            await route.continue_()
        else:
            requested.append(route.request.url)
            await route.abort()

    await page.route("**/*", only_here)
    return requested


async def test_the_dashboard_is_live_under_a_path(
    proxied: str, page: Page, elsewhere: list[str], market: Market
) -> None:
    await market.fill(900)
    await page.goto(f"{proxied}/")
    await page.wait_for_function(READY)
    assert page.url.startswith(f"{proxied}/dashboard?")
    async with market.trading(20):
        await expect(page.locator("#badges")).to_contain_text("Live")
        await page.wait_for_function("() => window.marketstream.open()?.trade_count > 5")
    for _ in range(20):
        await page.keyboard.press("Shift+ArrowLeft")
    await page.wait_for_function("() => window.marketstream.candles().length > 300")  # older ones, over HTTP
    await page.reload()
    await page.wait_for_function(READY)
    assert elsewhere == []


async def test_the_documentation_works_under_a_path_and_offline(
    proxied: str, page: Page, elsewhere: list[str], market: Market
) -> None:
    await market.fill(10)
    await page.goto(f"{proxied}/docs")
    await page.locator(".opblock", has_text="/symbols").click()
    await page.get_by_role("button", name="Try it out").click()
    async with page.expect_response(lambda response: "/symbols" in response.url) as answer:
        await page.get_by_role("button", name="Execute").click()
    assert (await answer.value).url == f"{proxied}/symbols"
    await expect(page.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")
    await expect(page.locator("#notice")).to_be_hidden()
    assert elsewhere == []


async def test_the_documentation_is_shown_without_a_proxy(page: Page, api: Api, elsewhere: list[str]) -> None:
    await page.goto(f"{api.url}/docs")
    await expect(page.get_by_role("heading", name="MarketStream")).to_be_visible()
    await expect(page.locator(".opblock")).to_have_count(4)
    assert elsewhere == []


@pytest.mark.told("Failed to load")
async def test_the_documentation_without_its_packages_says_so(page: Page, api: Api) -> None:
    await page.route("**/node_modules/**", lambda route: route.fulfill(status=404))
    await page.goto(f"{api.url}/docs")
    await expect(page.get_by_role("alert")).to_contain_text("Swagger UI is not installed")
    await page.get_by_role("link", name="openapi.json").click()
    await expect(page.locator("body")).to_contain_text('"openapi":"3.1.0"')
