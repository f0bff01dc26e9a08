"""Questions about quiet symbols, and the effects of the answers; in virtual time."""

import asyncio
from dataclasses import fields
from types import SimpleNamespace

import pytest
from marketstream.backfill import pages, questions
from marketstream.backfill.questions import QUIET_MARGIN_US
from marketstream.exchanges.base import Newest
from marketstream.market.trade import Trades
from marketstream.market.window import WINDOW_US
from marketstream.processor import symbol
from marketstream.settings import Settings

from tests.harness.model import MemoryStore
from tests.harness.scenarios import EPOCH, PRICE_SCALE, QUANTITY_SCALE
from tests.unit.backfill.world import FIRST, PAGE, QUIET_S, Exchange, backfilled, hear, known, trade
from tests.unit.processor.owners import apply, counted, heartbeat, owner
from tests.unit.virtual import VirtualClock, now_us, seconds_until, virtually


@virtually
async def test_a_feed_that_died_silently_is_made_up_for_in_one_go() -> None:
    owned, exchange = known(), Exchange(map(trade, range(20 * PAGE)))
    hear(owned, *map(trade, range(1, 6)))
    async with backfilled(exchange, owned):
        at_s = await seconds_until(lambda: counted(owned) == [(0, 20 * PAGE - 1)], 2 * QUIET_S)
        assert QUIET_S <= at_s <= QUIET_S + 10
        assert exchange.asked_newest == 1
        assert not owned.backfilling


@virtually
async def test_a_quiet_market_is_proven_quiet_and_its_windows_are_closed() -> None:
    owned, exchange, store = known(), Exchange(map(trade, range(5))), MemoryStore()
    hear(owned, *(trade(trade_id, 4.0 * trade_id) for trade_id in range(1, 5)))
    async with backfilled(exchange, owned):
        await asyncio.sleep(2 * QUIET_S + 5)
    store.apply(owned.take().commit)
    proven_us = now_us() - QUIET_MARGIN_US - int((QUIET_S + 1) * 1e6)
    assert exchange.asked_newest == 2
    assert not exchange.asked
    assert owned.ledger.closed_until >= proven_us // WINDOW_US
    reasons = {window - EPOCH // WINDOW_US: reason for window, reason in store.reasons.items()}
    assert reasons == {0: None, 1: None}
    assert {window - EPOCH // WINDOW_US for window in store.empty} >= {2}


class InAggregates(Exchange):
    """Has the trades from id 6 on as aggregates of three, and returns none that begins before the requested id."""

    def __init__(self) -> None:
        super().__init__(map(trade, range(66)))
        self.hints: list[tuple[int, int | None, int | None]] = []

    async def history(self, symbol: str, first_id: int, last_id: int, **hints: int | None) -> Trades | None:
        await super().history(symbol, first_id, last_id)
        self.hints.append((first_id, hints["after_us"], hints["before_us"]))
        page = [trade(number)._replace(n=3) for number in range(6, 66, 3) if number >= first_id]
        return Trades.of(page[:PAGE], PRICE_SCALE, QUANTITY_SCALE) if page else None


@virtually
async def test_what_a_dead_feed_missed_is_asked_for_from_behind_the_last_aggregate_on_and_from_its_time_on() -> None:
    owned, exchange = known(), InAggregates()
    hear(owned, *map(trade, range(1, 6)))
    async with backfilled(exchange, owned):
        await seconds_until(lambda: counted(owned) == [(0, 65)], 2 * QUIET_S)
    assert [(first, after) for first, after, _ in exchange.hints] == [(6, trade(5).time), (36, trade(33).time)]
    assert all(before is not None and before >= trade(65).time for _, _, before in exchange.hints)


@virtually
async def test_an_impossible_time_is_no_hint_to_what_follows() -> None:
    owned, exchange = known(), InAggregates()
    hear(owned, *map(trade, range(1, 6)))
    plain = exchange.history

    async def history(symbol: str, first_id: int, last_id: int, **hints: int | None) -> Trades | None:
        page = await plain(symbol, first_id, last_id, **hints)
        assert page is not None
        page.times[-1] += 10**13 if first_id == 6 else 0
        return page

    exchange.history = history  # type: ignore[method-assign]
    async with backfilled(exchange, owned):
        await seconds_until(lambda: (36, 65) in counted(owned), 2 * QUIET_S)
    assert exchange.hints[1][1:] == (exchange.hints[1][2],) * 2


@virtually
async def test_an_exchange_whose_clock_is_behind_is_not_asked_for_an_end_before_the_begin() -> None:
    owned, exchange = known(), InAggregates()
    hear(owned, *map(trade, range(1, 6)))
    exchange.behind_us = 3_600_000_000
    async with backfilled(exchange, owned):
        await seconds_until(lambda: counted(owned) == [(0, 65)], 2 * QUIET_S)
    assert all(after is not None and before is not None and after <= before for _, after, before in exchange.hints)


@virtually
async def test_a_quiet_market_is_never_stale_at_the_least_age_that_the_settings_take() -> None:
    (max_age_s,) = (field.metadata["least"] for field in fields(Settings) if field.name == "max_age_s")
    owned, exchange = known(), Exchange(map(trade, range(5)))
    hear(owned, *map(trade, range(1, 5)))
    ages_s = []
    async with backfilled(exchange, owned, quiet_s=max_age_s / 2):
        for _ in range(300):
            await asyncio.sleep(1)
            newest = owned.ledger.newest_run()
            assert newest is not None
            ages_s.append((now_us() - newest.high_time) / 1_000_000)
    assert max(ages_s) <= max_age_s - 3, "an answer takes its time, too"


@pytest.fixture
def slow_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the local clock one and a half hours behind that of the exchange."""
    slow = SimpleNamespace(
        monotonic=VirtualClock.monotonic, time_ns=lambda: VirtualClock.time_ns() - 5_400 * 1_000_000_000
    )
    for module in (pages, questions, symbol):
        monkeypatch.setattr(module, "time", slow)


@pytest.mark.usefixtures("slow_clock")
@virtually
async def test_a_clock_behind_the_exchange_refuses_no_proof_of_a_quiet_market() -> None:
    owned, exchange = known(), Exchange(map(trade, range(5)))
    hear(owned, *map(trade, range(1, 5)))
    async with backfilled(exchange, owned):
        await asyncio.sleep(2 * QUIET_S)
    assert owned.ledger.counted.runs[-1].high_time >= now_us() - QUIET_MARGIN_US - int((QUIET_S + 1) * 1e6)


@pytest.mark.usefixtures("slow_clock")
@virtually
async def test_a_clock_behind_the_exchange_refuses_no_trade_that_a_dead_feed_missed() -> None:
    owned, exchange = known(), Exchange([*map(trade, range(5)), *(trade(number, 20 + number) for number in (5, 6))])
    hear(owned, *map(trade, range(1, 5)))
    async with backfilled(exchange, owned):
        await seconds_until(lambda: counted(owned) == [(0, 6)], 2 * QUIET_S)


@virtually
async def test_a_market_that_is_quiet_from_the_beginning_gets_its_last_price_and_is_proven_quiet() -> None:
    owned, exchange, store = owner(FIRST), Exchange([trade(7, -300)]), MemoryStore()
    apply(owned, heartbeat(0.5), heartbeat(1.5))
    async with backfilled(exchange, owned):
        await asyncio.sleep(2 * QUIET_S + 5)
        assert counted(owned) == [(7, 7)]
        assert not owned.backfilling
    assert exchange.asked_newest == 2
    newest = owned.aggregator.newest()
    assert newest is not None
    assert (newest.close_id, newest.close_time) == (7, trade(7, -300).time)
    assert owned.heard_until_us == owned.ledger.counted.runs[0].high_time >= now_us() - int((QUIET_S + 16) * 1e6)
    store.apply(owned.take().commit)
    assert len(store.empty) >= 30, "the windows since the trade are proven empty"


@virtually
async def test_a_market_that_was_never_traded_is_heard_of_while_the_exchange_says_so() -> None:
    owned, exchange = owner(FIRST), Exchange()
    async with backfilled(exchange, owned):
        assert owned.heard_until_us is None
        await asyncio.sleep(10 * QUIET_S)
        assert owned.heard_until_us is not None
        assert owned.heard_until_us >= now_us() - int((QUIET_S + 1) * 1e6)
        exchange.broken.add(FIRST.symbol)
        heard_us = owned.heard_until_us
        await asyncio.sleep(10 * QUIET_S)
        assert owned.heard_until_us <= heard_us + int((QUIET_S + 1) * 1e6)
        exchange.broken.clear()
        exchange.trades[FIRST.symbol][0] = trade(0, 600)
        await seconds_until(lambda: counted(owned) == [(0, 0)], 4 * QUIET_S)


@virtually
async def test_a_market_whose_newest_trade_the_history_still_lacks_is_asked_about_again() -> None:
    owned, exchange = owner(FIRST), Exchange([trade(7, -300)])
    hidden = exchange.trades[FIRST.symbol].pop(7)

    async def newest(_: str) -> Newest:
        return Newest(7, now_us())

    exchange.newest = newest  # type: ignore[method-assign]
    async with backfilled(exchange, owned):
        await asyncio.sleep(3 * QUIET_S)
        assert counted(owned) == []
        exchange.trades[FIRST.symbol][7] = hidden
        await seconds_until(lambda: counted(owned) == [(7, 7)], 2 * QUIET_S)
