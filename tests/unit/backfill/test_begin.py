"""The beginning of a new symbol is reached; in virtual time."""

import asyncio

import pytest
from marketstream.backfill import service
from marketstream.market.counted import Run
from marketstream.market.progress import Progress
from marketstream.market.trade import Trade
from marketstream.market.window import WINDOW_US
from marketstream.postgres.writer import SymbolKey
from marketstream.processor.symbol import OwnedSymbol
from structlog.testing import capture_logs

from tests.harness.model import MemoryStore
from tests.harness.scenarios import EPOCH
from tests.unit.backfill.world import FIRST, OTHER, Exchange, backfilled, hear, trade
from tests.unit.processor.owners import owner
from tests.unit.virtual import seconds_until, virtually

DAY_S = 86_400.0


def early(trade_id: int) -> Trade:
    """Return a trade of a market of which trade 10 is the first of a window."""
    return trade(trade_id, (trade_id - 10) / 10)


def begun(key: SymbolKey) -> OwnedSymbol:
    """Return a new symbol of which trade 50 was received."""
    owned = owner(key)
    hear(owned, early(50))
    return owned


def begin_is_proven(owned: OwnedSymbol) -> bool:
    return owned.ledger.counted.runs[0].first_proven == EPOCH // WINDOW_US


@virtually
async def test_a_beginning_that_fails_keeps_no_other_waiting_and_is_reached_later() -> None:
    first, other = begun(FIRST), begun(OTHER)
    exchange = Exchange(map(early, range(51)), (FIRST.symbol, OTHER.symbol))
    exchange.broken.add(FIRST.symbol)
    async with backfilled(exchange, first, other):
        await seconds_until(lambda: begin_is_proven(other), 5)
        assert not begin_is_proven(first)
        asked = len(exchange.asked)
        await asyncio.sleep(20)
        assert 1 <= len(exchange.asked) - asked <= 8, "later and later"
        exchange.broken.clear()
        await seconds_until(lambda: begin_is_proven(first), 100)


@virtually
async def test_beginnings_that_all_fail_take_turns() -> None:
    owned = [begun(SymbolKey("simulator", name)) for name in ("ONE", "TWO", "THREE")]
    exchange = Exchange([trade(0)], [symbol.symbol for symbol in owned])
    exchange.broken = {symbol.symbol for symbol in owned}
    async with backfilled(exchange, *owned):
        await asyncio.sleep(200)
    asked = [symbol for symbol, _ in exchange.asked]
    assert max(map(asked.count, exchange.broken)) - min(map(asked.count, exchange.broken)) <= 1


@virtually
async def test_a_beginning_that_is_refused_is_asked_for_more_and_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "CHECK_S", 20.0)
    first, other = begun(FIRST), begun(OTHER)
    exchange = Exchange(map(early, range(51)), (FIRST.symbol, OTHER.symbol))
    exchange.refused.add(FIRST.symbol)
    with capture_logs() as lines:
        async with backfilled(exchange, first, other):
            await seconds_until(lambda: begin_is_proven(other), 60)
            await asyncio.sleep(7 * DAY_S)
            assert not begin_is_proven(first), "its window stays unconfirmed"
            refused = [line for line in lines if "beginning" in line["event"]]
            assert {line["symbol"] for line in refused} == {FIRST.symbol}
            assert 15 < len(refused) < 30
            exchange.refused.clear()
            await seconds_until(lambda: begin_is_proven(first), DAY_S + 60)


def killed(owned: OwnedSymbol, *again: Trade) -> OwnedSymbol:
    """Return the symbol as the next owner has it, from the last commit and the trades that it reads again."""
    successor = owner(owned.key, owned.take().commit.progress)
    hear(successor, *again)
    return successor


@virtually
async def test_a_beginning_not_reached_before_a_kill_is_reached_by_the_next_owner() -> None:
    owned, store = owner(FIRST), MemoryStore()
    hear(owned, *map(early, range(50, 200)))
    store.apply(owned.take().commit)
    assert store.progress.counted, "the first window is stored"
    assert set(store.reasons.values()) == {"unconfirmed"}
    owned = owner(FIRST, store.progress)
    hear(owned, *map(early, range(50, 200)))
    async with backfilled(Exchange(map(early, range(200))), owned):
        await seconds_until(lambda: begin_is_proven(owned), 5)
    store.apply(owned.take().commit)
    assert store.reasons[EPOCH // WINDOW_US] is None
    assert store.progress.begin_known


@virtually
async def test_a_beginning_that_was_reached_but_not_stored_is_reached_again() -> None:
    owned, exchange = begun(FIRST), Exchange(map(early, range(51)))
    async with backfilled(exchange, owned):
        await seconds_until(lambda: begin_is_proven(owned), 5)
        progress = owned.take().commit.progress
        assert not progress.counted, "its window is open"
        assert not progress.begin_known
        owned = killed(owned, *map(early, range(10, 51)))
    async with backfilled(exchange, owned):
        await seconds_until(lambda: begin_is_proven(owned), 5)


@pytest.mark.parametrize("lowest", [0, 10], ids=["with id 0", "in a history that lacks the trades before"])
@virtually
async def test_a_beginning_that_cannot_be_reached_is_not_asked_for_again_after_a_restart(lowest: int) -> None:
    owned, exchange = owner(FIRST), Exchange(map(trade, range(lowest, 200)))
    hear(owned, *map(trade, range(lowest, 200)))
    async with backfilled(exchange, owned):
        await asyncio.sleep(5)
    asked = len(exchange.asked)
    progress = owned.take().commit.progress
    assert progress.begin_known
    owned = owner(FIRST, progress)
    hear(owned, *map(trade, range(lowest, 200)))
    async with backfilled(exchange, owned):
        await asyncio.sleep(5)
    assert len(exchange.asked) == asked


@virtually
async def test_no_beginning_is_asked_for_below_ids_that_are_no_longer_accounted_for() -> None:
    run = Run(50, 50, early(50).time, early(50).time)
    owned = owner(FIRST, Progress(closed_until=EPOCH // WINDOW_US + 1, counted=(run,), settled_id=49))
    exchange = Exchange(map(early, range(51)))
    async with backfilled(exchange, owned):
        await asyncio.sleep(5)
    assert not exchange.asked


@virtually
async def test_the_beginning_of_an_account_that_gave_up_its_oldest_ids_is_not_asked_for() -> None:
    owned = owner(FIRST)
    hear(owned, *(trade(100 + 2 * number, 100 + 2 * number) for number in range(1_004)), trade(2_108, 2_140))
    owned.take()
    owned.take()
    assert owned.ledger.settled_id >= 0
    exchange = Exchange(trade(number, number) for number in range(2_109))
    with capture_logs() as lines:
        async with backfilled(exchange, owned, quiet_s=1e9):
            await asyncio.sleep(3_600)
    assert [line for line in lines if line["event"] == "fetched trades not counted, will retry"] == []
