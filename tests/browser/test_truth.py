"""Truth of the page: after a lost connection, in other time zones, and for amounts of any size."""

import asyncio
import time
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import LIMIT_S, Api
from tests.browser.market import Market
from tests.browser.test_dashboard import READY, drawn, point_at, show

LAST_X = """() => {
  const bars = window.marketstream.drawn().filter((bar) => 'open' in bar);
  return window.marketstream.place(bars.at(-1).time)?.x ?? null;
}"""


@pytest.mark.told(
    "WebSocket connection", "ERR_CONNECTION_REFUSED", "a day ago", "Failed to load", "ERR_INTERNET_DISCONNECTED"
)
async def test_the_chart_follows_the_market_after_a_long_absence(page: Page, api: Api, market: Market) -> None:
    now = int(time.time())
    await market.fill(300, until=now - 120)
    await show(page, api)
    before = await page.evaluate(LAST_X)
    await api.stop()
    await expect(page.locator("#badges")).to_contain_text("Disconnected")
    await market.fill(12, until=now)
    await api.start()
    async with market.trading(20):
        await expect(page.locator("#badges")).to_contain_text("Live")
        await page.wait_for_function(f"() => window.marketstream.drawn().at(-1).time > {now - 60}")
        await expect(page.locator("#latest")).to_be_hidden()
        after = await page.evaluate(LAST_X)
    assert after is not None
    assert abs(after - before) < 40, "the latest candle stands where it stood"


async def test_another_symbol_is_seen_after_the_price_axis_was_dragged(page: Page, api: Api, market: Market) -> None:
    await market.fill(60)
    await show(page, api)
    box = await page.locator("#chart").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] - 20, box["y"] + 150
    await page.mouse.move(x, y)
    await page.mouse.down()
    await page.mouse.move(x, y + 200, steps=5)
    await page.mouse.up()
    await page.get_by_role("button", name="SOLUSDT").click()
    await page.wait_for_function(READY)
    start = (await drawn(page))[-2]["time"]
    place = await page.evaluate(f"() => window.marketstream.place({start})")
    assert 0 < place["y"] < box["height"]


async def test_a_window_that_nothing_is_known_of_shows_no_numbers(page: Page, api: Api, market: Market) -> None:
    opened = await market.fill(60, skip=range(40, 44))
    await show(page, api)
    known, unknown = opened - 210, opened - 180
    assert unknown not in {bar["time"] for bar in await drawn(page)}
    x = [(await page.evaluate(f"() => window.marketstream.place({start})")) for start in (known, opened - 150)]
    box = await page.locator("#chart").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + (x[0]["x"] + x[1]["x"]) / 2, box["y"] + x[0]["y"])
    await expect(page.locator("#legend")).to_contain_text("nothing is known")
    await expect(page.locator(".legend-c")).to_have_text("C —")
    await point_at(page, known)
    await expect(page.locator("#legend")).to_contain_text("complete")


@pytest.mark.parametrize(
    ("query", "symbol", "hint"),
    [
        ("?symbol=ethusdt", "ETHUSDT", None),
        ("?exchange=Binance&symbol=SolUsdt", "SOLUSDT", None),
        ("?symbol=XRPUSDT", "BTCUSDT", "XRPUSDT is not streamed here"),
        ("?symbol=ETHUSDT&interval=7m", "ETHUSDT", "There is no interval “7m”"),
    ],
)
async def test_a_link_shows_its_symbol_or_says_why_not(
    page: Page, api: Api, market: Market, query: str, symbol: str, hint: str | None
) -> None:
    await market.fill(5)
    await show(page, api, query)
    await expect(page.locator("#symbol")).to_have_text(symbol)
    if hint is None:
        await expect(page.locator("#hint")).to_be_hidden()
    else:
        await expect(page.locator("#hint")).to_contain_text(hint)


@pytest.mark.parametrize(
    "zone",
    [
        pytest.param(name, marks=pytest.mark.zone(name), id=name)
        for name in ("Asia/Kolkata", "America/New_York", "Australia/Sydney")
    ],
)
async def test_the_axis_names_the_days_of_the_viewer(page: Page, api: Api, market: Market, zone: str) -> None:
    await market.fill(3)
    await show(page, api)
    texts = await page.evaluate(
        """async () => {
          const main = document.querySelector('script[type=module]').src;
          const { weight, tick } = await import(main.replace('main.js', 'axis.js'));
          const start = Math.floor(Date.UTC(2026, 2, 2, 0) / 1000);
          const found = [];
          for (let hour = 1; hour <= 72; hour += 1) {
            const time = start + hour * 3600;
            if (weight(time - 3600, time) < 50) continue;
            found.push([tick(time, 2, 'local', 3600), new Date(time * 1000).getHours()]);
          }
          return found;
        }"""
    )
    assert len(texts) == 3
    assert [text.split()[1] for text, _ in texts] == ["Mar"] * 3
    assert {hour for _, hour in texts} == {0}, "a day begins at the viewer's midnight"


@pytest.mark.zone("America/New_York")
async def test_a_daily_candle_is_named_by_its_day(page: Page, api: Api, market: Market) -> None:
    await market.fill(9000)
    await page.goto(f"{api.url}/dashboard?interval=1d")
    await page.wait_for_function(READY)
    await page.keyboard.press("u")
    start = (await drawn(page))[-1]["time"]
    name = await page.evaluate(
        "(start) => new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' })"
        ".format(start * 1000)",
        start,
    )
    await expect(page.locator(".legend-time")).to_contain_text(f"{name} ")
    await expect(page.locator(".legend-time")).to_contain_text("(UTC)")


async def test_a_lost_network_is_noticed_at_once(page: Page, api: Api, market: Market) -> None:
    await market.fill(30)
    async with market.trading(20):
        await show(page, api)
        await expect(page.locator("#badges")).to_contain_text("Live")
        await page.evaluate("() => window.dispatchEvent(new Event('offline'))")
        assert not await page.evaluate("() => window.marketstream.connected()")
        await page.evaluate("() => window.dispatchEvent(new Event('online'))")
        await expect(page.locator("#badges")).to_contain_text("Live")


async def test_a_wrong_clock_of_the_viewer_is_said(page: Page, api: Api, market: Market) -> None:
    await page.add_init_script("const now = Date.now; Date.now = () => now() + 180_000;")
    await market.fill(30)
    async with market.trading(20):
        await show(page, api)
        await expect(page.locator("#latency")).to_contain_text("clock of this device is 1")
        await expect(page.locator("#latency")).to_contain_text("ahead")


async def test_zoom_and_time_stay_through_a_change_of_interval(page: Page, api: Api, market: Market) -> None:
    await market.fill(2400)
    await show(page, api)
    latest = (await drawn(page))[-1]["time"]
    middle = latest
    async with asyncio.timeout(LIMIT_S):
        while middle > latest - 9_000:
            await page.keyboard.press("Shift+ArrowLeft")
            await page.wait_for_timeout(50)
            middle = await page.evaluate("() => window.marketstream.middle()")
    await page.keyboard.press("2")
    await page.wait_for_function(READY)
    await page.wait_for_function(f"() => Math.abs(window.marketstream.middle() - {middle}) <= 300")
    await expect(page.locator("#latest")).to_be_visible()


async def test_a_price_that_never_changes_has_an_axis_near_it(page: Page, api: Api, market: Market) -> None:
    opened = await market.fill(60)
    await market.postgres.execute(
        "UPDATE candles_10s SET open = 1, high = 1, low = 1, close = 1, volume = 0.0002 WHERE symbol = 'BTCUSDT'"
    )
    await page.goto(f"{api.url}/dashboard?symbol=BTCUSDT")
    await page.wait_for_function(READY)
    place: Any = await page.evaluate(f"() => window.marketstream.place({opened - 30})")
    low, high = await page.evaluate("() => window.marketstream.prices()")
    assert 0.99 < low < 1 < high < 1.01
    assert place is not None


async def test_the_crosshair_moves_by_keyboard_and_is_read_out(page: Page, api: Api, market: Market) -> None:
    await market.fill(60)
    await show(page, api)
    last = (await drawn(page))[-1]["time"]
    await page.keyboard.press("Alt+ArrowLeft")
    await page.keyboard.press("Alt+ArrowLeft")
    await expect(page.locator("#announcer")).to_contain_text("O")
    clock = await page.evaluate("(time) => new Date(time * 1000).toISOString().slice(11, 19)", last - 10)
    await expect(page.locator(".legend-time")).to_contain_text(clock)
    await page.keyboard.press("Escape")
    await expect(page.locator(".legend-note")).to_be_visible()


async def test_an_amount_is_never_cut_to_zero(page: Page, api: Api, market: Market) -> None:
    await market.fill(3)
    await show(page, api)
    amounts = ["0.00000012", "0.0000000000451", "0.5", "12.3456789", "0"]
    written = await page.evaluate(
        """async (amounts) => {
          const main = document.querySelector('script[type=module]').src;
          const { cut, compact } = await import(main.replace('main.js', 'format.js'));
          return amounts.map((text) => [cut(text, 6), compact(text)]);
        }""",
        amounts,
    )
    assert written == [
        ["0.00000012", "0.00000012"],
        ["4.51e-11", "4.51e-11"],
        ["0.500000", "0.5000"],
        ["12.345678", "12.345"],
        ["0.000000", "0.0000"],
    ]


async def test_the_narrowest_phone_shows_everything(page: Page, api: Api, market: Market) -> None:
    await page.set_viewport_size({"width": 320, "height": 640})
    await market.fill(60)
    await show(page, api)
    assert await page.evaluate("() => document.scrollingElement.scrollWidth") == 320


async def test_forced_colours_keep_the_chart_and_the_choice_visible(page: Page, api: Api, market: Market) -> None:
    await page.emulate_media(forced_colors="active")
    market.exchange = "simulator"
    for book in market.books.values():
        book.exchange = "simulator"
    await market.fill(60)
    await show(page, api)
    await expect(page.locator("#watermark")).to_be_hidden()
    await expect(page.locator(".watch[aria-pressed=true]")).to_have_css("outline-style", "solid")
