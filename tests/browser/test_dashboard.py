"""The page as a user sees and operates it."""

import asyncio
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import LIMIT_S, Api
from tests.browser.market import Market

READY = "() => window.marketstream?.drawn().some((bar) => 'open' in bar)"
BAR = ("open", "high", "low", "close")
CROSSHAIR = "#chart canvas + canvas"

NOTE_COLOURS = """(start) => {
  const colours = window.colours = [];
  (function note() {
    const { color } = window.marketstream.drawn().find((bar) => bar.time === start);
    if (color !== colours.at(-1)) colours.push(color);
    requestAnimationFrame(note);
  })();
}"""


async def show(page: Page, api: Api, query: str = "") -> None:
    await page.goto(f"{api.url}/dashboard{query}")
    await page.wait_for_function(READY)


async def drawn(page: Page) -> list[dict[str, Any]]:
    bars: list[dict[str, Any]] = await page.evaluate("() => window.marketstream.drawn()")
    return [bar for bar in bars if "open" in bar]


async def test_the_drawn_candles_are_those_of_the_api(page: Page, api: Api, market: Market) -> None:
    await market.fill(300, skip=range(100, 107))
    await show(page, api)
    candles = await api.get("/candles", symbol="BTCUSDT", limit=300)
    assert await page.evaluate("() => window.marketstream.candles()") == candles
    assert [(bar["time"], *(bar[name] for name in BAR)) for bar in await drawn(page)] == [
        (candle["window_start"], *(float(candle[name]) for name in BAR)) for candle in candles
    ]


async def test_the_open_candle_moves_and_closes(page: Page, api: Api, market: Market) -> None:
    await market.fill(60)
    await show(page, api)
    async with market.trading(40):
        await page.wait_for_function("() => window.marketstream.open()?.trade_count > 20")
        before = await page.evaluate("() => window.marketstream.open()")
        await page.wait_for_function(
            "(start) => window.marketstream.candles().some((c) => c.window_start === start && c.complete)",
            arg=before["window_start"],
        )
        await expect(page.locator("#badges")).to_contain_text("Live")
        await expect(page.locator("#tape tr").first).to_be_visible()
    start = before["window_start"]
    closed = await api.get("/candles", symbol="BTCUSDT", start=start, end=start + 10)
    assert closed[0] in await page.evaluate("() => window.marketstream.candles()")


async def test_symbol_and_interval_can_be_selected_by_pointer(page: Page, api: Api, market: Market) -> None:
    await market.fill(400)
    await show(page, api)
    await page.get_by_role("button", name="ETHUSDT").click()
    await page.get_by_role("button", name="5 minutes", exact=True).click()
    await page.wait_for_function(READY)
    shown = await page.evaluate("() => window.marketstream.candles()")
    assert shown == await api.get("/candles", symbol="ETHUSDT", interval="5m", limit=300)
    assert "symbol=ETHUSDT&interval=5m" in page.url
    await page.reload()
    await page.wait_for_function(READY)
    await expect(page.locator("#symbol")).to_have_text("ETHUSDT")


async def test_everything_can_be_done_by_keyboard(page: Page, api: Api, market: Market) -> None:
    await market.fill(200)
    await show(page, api)
    for key, expected in (("2", "1m"), ("1", "10s")):
        await page.keyboard.press(key)
        assert (await page.evaluate("() => window.marketstream.chosen()"))["interval"] == expected
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("#symbol")).to_have_text("ETHUSDT")
    await page.keyboard.press("ArrowUp")
    await expect(page.locator("#symbol")).to_have_text("BTCUSDT")
    await page.wait_for_function(READY)
    async with asyncio.timeout(LIMIT_S):  # what is still being drawn begins at the latest candle
        while not await page.locator("#latest").is_visible():
            await page.keyboard.press("Shift+ArrowLeft")
            await page.wait_for_timeout(50)
    await page.keyboard.press("End")
    await expect(page.locator("#latest")).to_be_hidden()
    await page.keyboard.press("u")
    await expect(page.locator("#zone")).to_have_text("Local")
    await page.keyboard.press("?")
    await expect(page.locator("#help")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#help")).to_be_hidden()
    await page.keyboard.press("Tab")
    assert await page.evaluate("() => document.activeElement.matches(':focus-visible')")


async def test_scrolling_loads_older_candles(page: Page, api: Api, market: Market) -> None:
    await market.fill(900)
    await show(page, api)
    async with asyncio.timeout(LIMIT_S):
        while len(await drawn(page)) < 900:
            await page.keyboard.press("Shift+ArrowLeft")
            await page.wait_for_timeout(50)
    candles = await api.get("/candles", symbol="BTCUSDT", limit=1000)
    assert await page.evaluate("() => window.marketstream.candles()") == candles
    assert len({bar["time"] for bar in await drawn(page)}) == 900


@pytest.mark.told("WebSocket connection", "ERR_CONNECTION_REFUSED", "a day ago", "Failed to load")
async def test_the_page_shows_and_survives_a_restart_of_the_api(page: Page, api: Api, market: Market) -> None:
    await market.fill(50)
    async with market.trading(20):
        await show(page, api)
        await expect(page.locator("#badges")).to_contain_text("Live")
        await api.stop()
        await expect(page.locator("#badges")).to_contain_text("Disconnected")
        await page.screenshot(path="artefacts/disconnected.png")
        await api.start()
        await expect(page.locator("#badges")).to_contain_text("Live")
        last = await page.evaluate("() => window.marketstream.open().last_trade_id")
        await page.wait_for_function(f"() => window.marketstream.open().last_trade_id > {last}")


async def test_an_incomplete_candle_is_visible_and_says_why(page: Page, api: Api, market: Market) -> None:
    opened = await market.fill(60)
    start = opened - 200
    await market.change("BTCUSDT", start, tell=False, complete=False, incomplete_reason="hole")
    await show(page, api)
    bars = {bar["time"]: bar for bar in await drawn(page)}
    whole = bars[start + 10]
    assert bars[start]["color"] != bars[start]["borderColor"], "hollow"
    assert whole["color"] == whole["borderColor"], "solid"
    assert bars[start]["borderColor"] not in {whole["borderColor"], bars[start - 10]["borderColor"]}
    await expect(page.locator(CROSSHAIR).first).to_have_css("opacity", "0")
    await point_at(page, start)
    await expect(page.locator(CROSSHAIR).first).to_have_css("opacity", "1")
    await expect(page.locator("#legend")).to_contain_text("incomplete: trades are missing")
    await point_at(page, start + 10)
    await expect(page.locator("#legend")).to_contain_text("complete")
    await expect(page.locator("#legend")).not_to_contain_text("incomplete")


async def point_at(page: Page, start: int) -> None:
    place = await page.evaluate(f"() => window.marketstream.place({start})")
    box = await page.locator("#chart").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + place["x"], box["y"] + place["y"])


async def test_a_corrected_candle_flashes_once(page: Page, api: Api, market: Market) -> None:
    opened = await market.fill(60)
    start = opened - 100
    await show(page, api)
    before = {bar["time"]: bar for bar in await drawn(page)}[start]
    await page.evaluate(NOTE_COLOURS, start)  # by the page itself: it lights up for less time than we may be held up
    await market.change("BTCUSDT", start, trade_count=99)
    await page.wait_for_function("() => window.colours.length >= 3")
    assert await page.evaluate("() => window.colours") == [before["color"], "#ffffff", before["color"]]
    await expect(page.locator("#announcer")).to_contain_text("corrected")


async def test_a_simulated_market_is_plainly_marked(page: Page, api: Api, market: Market) -> None:
    market.exchange = "simulator"
    for book in market.books.values():
        book.exchange = "simulator"
    await market.fill(60)
    await show(page, api)
    await expect(page.get_by_text("Simulated", exact=True)).to_be_visible()
    await expect(page.locator("#watermark")).to_be_visible()


async def test_a_phone_shows_everything_without_scrolling_sideways(page: Page, api: Api, market: Market) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await market.fill(300)
    await show(page, api)
    async with market.trading(20):
        await page.wait_for_timeout(500)
        width = "() => document.scrollingElement.scrollWidth"
        assert await page.evaluate(width) == 390
        for name in ("#chart", "#watchlist", "#tape", "#intervals", "#zone", "#help-open"):
            box = await page.locator(name).bounding_box()
            assert box is not None, name
            assert box["x"] >= 0, name
            assert box["x"] + box["width"] <= 390, name


async def test_no_inline_code_runs_on_the_page(api: Api) -> None:
    async with httpx.AsyncClient(base_url=api.url) as client:
        answer = await client.get("/dashboard")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert (await client.get("/static/nothing.js")).status_code == 404
        assert (await client.get("/")).headers["location"] == "dashboard"


@pytest.mark.told("Failed to load")
async def test_a_page_without_its_packages_says_so(page: Page, api: Api, market: Market) -> None:
    await market.fill(1)
    await page.route("**/node_modules/**", lambda route: route.fulfill(status=404))
    await page.goto(f"{api.url}/dashboard")
    await expect(page.get_by_role("alert")).to_contain_text("The chart library is not installed")
