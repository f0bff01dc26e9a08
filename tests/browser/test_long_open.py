"""A page that stays open while stores fail, holes are filled, symbols are added, and days pass."""

import asyncio
import re
from typing import Any

import pytest
from marketstream.local.postgres import PostgresServer
from playwright.async_api import Page, WebSocketRoute, expect

from tests.browser.conftest import Api
from tests.browser.market import Market
from tests.browser.test_dashboard import drawn, show
from tests.harness.rows import add_symbol
from tests.harness.servers import pause, resume

LAST = "() => window.marketstream.drawn().at(-1)"
SHOWN_TIMES = "() => window.marketstream.drawn().filter((bar) => 'open' in bar).map(({ time }) => time)"
MANY_CANDLES = """async ({ most, count }) => {
  const { apply, emptyStream, trim } = await import('/static/state.js');
  const { sparkPath } = await import('/static/spark.js');
  const stream = emptyStream();
  const candle = (n) => ({
    window_start: n * 60, open: '1', high: '2', low: '1', close: `1.${n % 10}`, volume: '1', trade_count: 1,
    complete: true, incomplete_reason: null, revision: 0,
  });
  for (let n = 1; n <= count; n += 1) {
    apply(stream, { type: 'candle', received_us: 1, closed: false, candle: candle(n) });
    apply(stream, { type: 'candle', received_us: 1, closed: true, candle: candle(n) });
  }
  const untrimmed = sparkPath(stream);
  stream.exhausted = true;
  const { version } = stream;
  trim(stream, most);
  return {
    starts: [...stream.candles.keys()], exhausted: stream.exhausted, isNewVersion: stream.version > version,
    isSameLine: sparkPath(stream) === untrimmed, points: untrimmed.match(/[ML]/g).length,
  };
}"""
TEXTS = """async ([time, utcKind, seconds]) => {
  const { label, tick, weight } = await import('/static/axis.js');
  const found = weight(time - seconds, time);
  const kind = seconds >= 86400 ? utcKind : found >= 70 ? 0 : found >= 60 ? 1 : found >= 50 ? 2 : found >= 20 ? 3 : 4;
  return [tick(time, kind, 'local', seconds), label(time, 'local', seconds)];
}"""
ASKS_SOON = """
  const later = setTimeout;
  window.setTimeout = (call, ms, ...rest) => later(call, ms === 15000 ? 500 : ms, ...rest);
"""
DAY_S = 86_400
MIDNIGHT = 1_764_028_800  # 25 Nov 2025, 00:00 UTC


@pytest.mark.parametrize("gap", [3, 300])
async def test_a_gap_before_the_open_candle_is_filled(page: Page, api: Api, market: Market, gap: int) -> None:
    opened = await market.fill(400, skip=range(400 - gap, 400))
    await market.trade("BTCUSDT")
    await show(page, api)
    await page.wait_for_function(f"() => window.marketstream.drawn().at(-1).time === {opened}")
    for count in (1, gap):  # the first alone is far from those that are drawn, when the gap is long
        await market.fill_gap("BTCUSDT", count)
        start = opened - (gap - 1 if count == 1 else 0) * 10 - 10
        await page.wait_for_function(f"() => ({SHOWN_TIMES})().includes({start})")
        before = await page.evaluate(LAST)
        assert before["time"] == opened
        await moves(page, market, before)
    first = (await drawn(page))[0]["time"]
    assert await page.evaluate(SHOWN_TIMES) == list(range(first, opened + 10, 10))


async def moves(page: Page, market: Market, before: dict[str, Any]) -> None:
    """Trade until the last drawn candle, still the same one, has moved."""
    for _ in range(100):
        await market.trade("BTCUSDT")
        await page.wait_for_timeout(50)
        last = await page.evaluate(LAST)
        if last["time"] == before["time"] and last.get("close") not in {None, before["close"]}:
            return
    raise AssertionError(f"stands still at {last}")


@pytest.mark.told("store-away", "WebSocket connection", "ERR_CONNECTION_REFUSED", "a day ago", "Failed to load")
async def test_a_page_with_refused_streams_is_not_live(
    page: Page, api: Api, market: Market, postgres: PostgresServer
) -> None:
    await market.fill(50)
    badges = page.locator("#badges")
    async with market.trading(20, close=False):
        await show(page, api)
        await expect(badges).to_contain_text("Live")
        await api.stop()
        await expect(badges).to_contain_text("Disconnected")
        pause(postgres)
        try:
            await api.start(path="/healthz")
            async with page.expect_console_message(lambda message: "store-away" in message.text):
                await page.wait_for_function("() => window.marketstream.connected()")
            await expect(badges).to_contain_text("Connecting")
        finally:
            resume(postgres)
        await expect(badges).to_contain_text("Live")


async def test_reconnects_to_a_server_that_closes_slow_down(page: Page, api: Api, market: Market) -> None:
    await market.fill(10)
    closed: list[str] = []

    async def close(socket: WebSocketRoute, asked: str) -> None:
        closed.append(asked)
        await socket.close(code=1013)

    def accept(socket: WebSocketRoute) -> None:
        socket.on_message(lambda asked: asyncio.ensure_future(close(socket, str(asked))))

    await page.route_web_socket("**/ws", accept)
    await page.goto(f"{api.url}/dashboard")
    await page.wait_for_timeout(8_000)
    assert 3 <= len(closed) <= 7, "0.4 s doubled each time, at least half of it"


@pytest.mark.zone("Europe/Berlin")
async def test_the_axis_names_days_east_of_utc(page: Page, api: Api, market: Market) -> None:
    await page.goto(f"{api.url}/dashboard")
    for seconds, time, kind, *expected in [
        (DAY_S, MIDNIGHT, 2, "25 Nov", "25 Nov 2025 (UTC)"),
        (3600, MIDNIGHT - 3600, 3, "25 Nov", "25 Nov 2025, 00:00:00"),
        (3600, MIDNIGHT, 2, "01:00", "25 Nov 2025, 01:00:00"),
        (14_400, MIDNIGHT, 2, "25 Nov", "25 Nov 2025, 01:00:00"),  # none begins at midnight
        (14_400, MIDNIGHT + 14_400, 3, "05:00", "25 Nov 2025, 05:00:00"),
    ]:
        assert await page.evaluate(TEXTS, [time, kind, seconds]) == expected


@pytest.mark.zone("America/New_York")
async def test_the_axis_names_days_west_of_utc(page: Page, api: Api, market: Market) -> None:
    await page.goto(f"{api.url}/dashboard")
    for seconds, time, kind, *expected in [
        (DAY_S, MIDNIGHT, 2, "25 Nov", "25 Nov 2025 (UTC)"),
        (DAY_S, MIDNIGHT, 1, "Nov", "25 Nov 2025 (UTC)"),
        (3600, MIDNIGHT + 5 * 3600, 3, "25 Nov", "25 Nov 2025, 00:00:00"),
        (3600, MIDNIGHT, 2, "19:00", "24 Nov 2025, 19:00:00"),
        (10, MIDNIGHT + 5 * 3600, 3, "25 Nov", "25 Nov 2025, 00:00:00"),
        (10, MIDNIGHT + 5 * 3600 + 10, 4, "00:00:10", "25 Nov 2025, 00:00:10"),
    ]:
        assert await page.evaluate(TEXTS, [time, kind, seconds]) == expected


async def test_a_page_that_stays_open_keeps_no_more_than_it_shows(page: Page, api: Api, market: Market) -> None:
    await page.goto(f"{api.url}/dashboard")
    kept = await page.evaluate(MANY_CANDLES, {"most": 64, "count": 200})
    assert kept == {
        "starts": [n * 60 for n in range(137, 201)], "exhausted": False, "isNewVersion": True,
        "isSameLine": True, "points": 60,
    }  # fmt: skip


async def test_the_title_has_the_price_without_frames(page: Page, api: Api, market: Market) -> None:
    """Like in a background tab."""
    await page.add_init_script("window.requestAnimationFrame = () => 0")
    await market.fill(30)
    async with market.trading(20, close=False):
        await page.goto(f"{api.url}/dashboard")
        await expect(page).to_have_title(re.compile(r"^[\d,.]+ BTCUSDT · MarketStream$"))
        await expect(page).not_to_have_title(await page.title())


@pytest.mark.told("WebSocket connection", "ERR_CONNECTION_REFUSED", "a day ago", "Failed to load")
async def test_the_title_has_no_price_while_it_is_not_known(page: Page, api: Api, market: Market) -> None:
    await market.fill(30)
    async with market.trading(20, close=False):
        await show(page, api)
        await expect(page).to_have_title(re.compile(r"^[\d,.]+ BTCUSDT"))
        await api.stop()
        await expect(page).to_have_title("BTCUSDT · MarketStream")


async def test_a_new_symbol_does_not_move_the_view(page: Page, api: Api, market: Market) -> None:
    await page.add_init_script(ASKS_SOON)
    await market.fill(300)
    await show(page, api)
    await page.keyboard.press("Shift+ArrowLeft")
    await expect(page.locator("#latest")).to_be_visible()
    await add_symbol(market.postgres, "binance", "XRPUSDT", 0)
    await expect(page.get_by_role("button", name="XRPUSDT")).to_be_visible()
    await page.wait_for_timeout(300)
    await expect(page.locator("#latest")).to_be_visible()
