"""A jump of ids is a hole or a stray id, as the exchange's newest id says; in virtual time."""

import asyncio

import pytest
from marketstream.backfill import service
from marketstream.exchanges.base import Newest
from marketstream.market.trade import Trade, Trades
from structlog.testing import capture_logs

from tests.harness.model import MemoryStore
from tests.harness.scenarios import PRICE_SCALE, QUANTITY_SCALE
from tests.unit.backfill.world import FIRST, OTHER, QUIET_S, Exchange, backfilled, hear, is_whole, known, trade
from tests.unit.processor.owners import counted
from tests.unit.virtual import now_us, seconds_until, virtually

DAY_S = 86_400.0
MISSED = 5_000_000
LATER_S = 6_000.0
"""Seconds after EPOCH at which the trades after the outage happen."""


def long_ago(trade_id: int) -> Trade:
    return trade(trade_id, LATER_S + (trade_id - MISSED) / 10)


class Vast(Exchange):
    """Has MISSED trades of the first symbol in aggregates of 500, and the 60 trades after them."""

    def __init__(self, page: int = 100) -> None:
        """Use pages of so many aggregates."""
        self._page = page
        super().__init__(map(trade, range(300)), (FIRST.symbol, OTHER.symbol))

    async def history(self, symbol: str, first_id: int, last_id: int, **hints: int | None) -> Trades | None:
        if symbol != FIRST.symbol:
            return await super().history(symbol, first_id, last_id, **hints)
        self.asked.append((symbol, first_id))
        await asyncio.sleep(0.1)
        ids = range(first_id, last_id + 1, 500)[: self._page]
        page = [trade(number, number / 10_000)._replace(n=min(500, last_id - number + 1)) for number in ids]
        return Trades.of(page, PRICE_SCALE, QUANTITY_SCALE)

    async def newest(self, symbol: str) -> Newest | None:
        if symbol != FIRST.symbol:
            return await super().newest(symbol)
        self.asked_newest += 1
        return Newest(MISSED + 60, now_us())


@virtually
async def test_an_outage_of_millions_of_trades_is_a_hole_that_is_filled_page_by_page() -> None:
    first, other, exchange, store = known(), known(OTHER), Vast(), MemoryStore()
    hear(other, trade(200))  # older than the great hole
    hear(first, *map(long_ago, range(MISSED + 1, MISSED + 20)))
    assert list(first.ledger.holes()) == []
    most_runs = 0
    async with backfilled(exchange, first, other, quiet_s=1e9) as verdicts:
        await seconds_until(first.ledger.holes, 1)
        assert list(first.ledger.holes()) == [(1, MISSED)]
        assert len(verdicts) == 1
        assert first.take().commit.verdicts, "the windows around the jump are judged again"
        await seconds_until(lambda: is_whole(other), 20)
        assert not is_whole(first), "a small hole is filled beside the great one"
        while not is_whole(first):
            most_runs = max(most_runs, len(first.ledger.counted), len(first.aggregator.ledger.closed))
            store.apply(first.take().commit)
            assert first.aggregator.pending == 0
            await asyncio.sleep(1)
        assert len(exchange.asked) <= MISSED // 50_000 + 30
    assert most_runs <= 3
    assert counted(first) == [(0, MISSED + 19)]


@virtually
async def test_the_jump_is_decided_in_a_market_that_is_traded_all_the_time() -> None:
    owned, exchange = known(), Vast()
    hear(owned, *map(long_ago, range(MISSED + 1, MISSED + 10)))
    async with backfilled(exchange, owned, quiet_s=1e9):
        await seconds_until(owned.ledger.holes, 1)
        assert exchange.asked_newest == 1


@virtually
async def test_a_stray_id_is_asked_about_at_once_and_then_more_and_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "CHECK_S", 200.0)
    owned, exchange = known(), Exchange(map(trade, range(20)))
    hear(owned, *map(trade, range(1, 20)), trade(10**9, 2))
    async with backfilled(exchange, owned, quiet_s=1e9) as verdicts:
        await asyncio.sleep(7 * DAY_S)
        asked = exchange.asked_newest
        assert 10 <= asked <= 30
        await asyncio.sleep(7 * DAY_S)
        assert 6 <= exchange.asked_newest - asked <= 8, "neither without end nor never"
        assert list(owned.ledger.holes()) == []
        assert not verdicts
        exchange.trades[FIRST.symbol][10**9] = trade(10**9)
        await seconds_until(lambda: verdicts, DAY_S + 600)
        assert list(owned.ledger.holes()) == [(20, 10**9 - 1)]


@virtually
async def test_a_new_jump_is_asked_about_at_once_although_an_old_one_is_known_to_be_stray() -> None:
    owned, exchange = known(), Exchange(map(trade, range(20)))
    hear(owned, *map(trade, range(1, 20)), trade(10**12, 2))
    async with backfilled(exchange, owned, quiet_s=1e9):
        await asyncio.sleep(600)
        exchange.trades[FIRST.symbol][10**9] = late = trade(10**9, 600)
        # The flow goes on below the stray id first. Otherwise the late id would mean that ids have begun again.
        hear(owned, trade(20, 590), late)
        await seconds_until(owned.ledger.holes, 6)
        assert owned.ledger.undecided() == (10**12,)


@virtually
async def test_a_refusal_decides_nothing_and_is_said() -> None:
    owned, exchange = known(), Exchange(map(trade, range(20)))
    exchange.broken.add(FIRST.symbol)
    hear(owned, *map(trade, range(1, 20)), trade(10**9, 2))
    with capture_logs() as lines:
        async with backfilled(exchange, owned, quiet_s=1e9):
            await asyncio.sleep(3_600)
            assert list(owned.ledger.holes()) == []
            assert 5 <= exchange.asked_newest <= 20
            exchange.broken.clear()
            exchange.trades[FIRST.symbol][10**9] = trade(10**9, 2)
            await seconds_until(owned.ledger.holes, 2 * 3_600)
    assert [line for line in lines if line["event"] == "request to the history failed, will retry"]


@virtually
async def test_many_stray_ids_do_not_make_many_questions() -> None:
    owned, exchange = known(), Exchange(map(trade, range(20)))
    async with backfilled(exchange, owned, quiet_s=1e9):
        for number in range(600):
            hear(owned, trade(10**8 * (number + 1), number / 10))
            await asyncio.sleep(0.1)
    assert exchange.asked_newest <= 60 / 5 + 1


@virtually
async def test_a_feed_that_died_for_millions_of_trades_does_not_keep_the_questions_waiting() -> None:
    first, other, exchange = known(), known(OTHER), Vast(page=2)
    exchange.trades[OTHER.symbol] = {0: trade(0)}
    async with backfilled(exchange, first, other):
        await asyncio.sleep(4 * QUIET_S)
        newest = other.ledger.newest_run()
        assert newest is not None
        assert (now_us() - newest.high_time) / 1e6 <= QUIET_S + 12
    assert counted(first)[-1] == (MISSED + 60, MISSED + 60), "the rest is a hole, which takes turns with others"
    assert 1_000 < counted(first)[0][1] < MISSED
