"""Holes are filled, retried and given up; in virtual time."""

import asyncio

import pytest
from marketstream.backfill.attempts import PATIENCE_S

from tests.unit.backfill.world import FIRST, OTHER, STRAY, Exchange, backfilled, hear, is_whole, known, trade
from tests.unit.processor.owners import counted
from tests.unit.virtual import seconds_until, virtually


@virtually
async def test_a_history_that_never_answers_keeps_no_other_symbol_waiting() -> None:
    first, other = known(), known(OTHER)
    exchange = Exchange(map(trade, range(300)), (FIRST.symbol, OTHER.symbol))
    exchange.broken.add(FIRST.symbol)
    hear(first, trade(290))  # the newest hole of all symbols
    hear(other, trade(200))
    async with backfilled(exchange, first, other):
        await seconds_until(lambda: is_whole(other), 20)
        assert not is_whole(first)
        await asyncio.sleep(2 * PATIENCE_S)
        assert not first.ledger.unfillable()
        exchange.broken.clear()
        await seconds_until(lambda: is_whole(first), 200)


@virtually
async def test_nothing_is_given_up_below_a_stray_id_and_holes_after_it_are_filled() -> None:
    owned, exchange = known(), Exchange(map(trade, range(20)))
    hear(owned, *map(trade, range(1, 20)), trade(STRAY, 2))
    async with backfilled(exchange, owned) as verdicts:
        await asyncio.sleep(5 * PATIENCE_S)
        assert list(owned.ledger.holes()) == [(20, STRAY - 1)]
        exchange.trades[FIRST.symbol] |= {trade_id: trade(trade_id, 301) for trade_id in range(20, 61)}
        hear(owned, *(trade(trade_id, 301) for trade_id in (20, 21, 40, 41, 60)))
        assert (22, 39) in owned.ledger.holes()
        await seconds_until(lambda: counted(owned) == [(0, 60), (STRAY, STRAY)], 100)
        assert not verdicts
        assert not owned.ledger.unfillable()


@virtually
async def test_below_a_stray_id_only_what_the_exchange_has_come_to_is_given_up() -> None:
    owned, exchange = known(), Exchange(map(trade, range(20)))
    exchange.trades[FIRST.symbol] |= {24: trade(24)}
    hear(owned, *map(trade, range(1, 20)), trade(STRAY, 2))
    async with backfilled(exchange, owned):
        await seconds_until(owned.ledger.unfillable, 3 * PATIENCE_S)
        assert owned.ledger.unfillable() == ((20, 23),)
        exchange.trades[FIRST.symbol] |= {trade_id: trade(trade_id) for trade_id in range(25, 40)}
        await seconds_until(lambda: counted(owned) == [(0, 19), (24, 39), (STRAY, STRAY)], 3 * PATIENCE_S)
        assert owned.ledger.unfillable() == ((20, 23),)


@virtually
async def test_an_old_hole_is_filled_although_trading_continues_below_a_stray_id() -> None:
    """Every trade received moves the begin of the hole below the stray id, which is then a hole never tried before."""
    owned, exchange = known(), Exchange(map(trade, range(2_000)))
    hear(owned, trade(5), trade(6, 2), trade(STRAY, 3))
    async with backfilled(exchange, owned):
        for trade_id in range(7, 607):
            exchange.trades[FIRST.symbol] = {number: trade(number) for number in range(trade_id + 1)}
            hear(owned, trade(trade_id))
            await asyncio.sleep(0.05)
        assert counted(owned)[0] == (0, 606), "half a minute was enough"


@virtually
async def test_an_impossible_trade_is_left_out_and_those_around_it_count() -> None:
    owned, exchange = known(), Exchange(map(trade, range(20)))
    exchange.trades[FIRST.symbol] |= {5: trade(5, -1e9), 14: trade(14, 1e9)}
    hear(owned, trade(20))
    async with backfilled(exchange, owned):
        await seconds_until(lambda: counted(owned) == [(0, 4), (6, 13), (15, 20)], 10)
        await asyncio.sleep(3 * PATIENCE_S)
        assert owned.ledger.unfillable() == (), "the exchange has them, whatever is wrong with them"
        assert list(owned.ledger.holes()) == [(5, 5), (14, 14)]


@pytest.mark.parametrize("lacks", [range(1, 10), range(1, 5), range(5, 10)], ids=["all", "its begin", "its end"])
@virtually
async def test_what_the_history_lacks_is_given_up_after_the_patience_and_not_before(lacks: range) -> None:
    owned, exchange = known(), Exchange(trade(trade_id) for trade_id in range(11) if trade_id not in lacks)
    hear(owned, trade(10))
    async with backfilled(exchange, owned) as verdicts:
        at_s = await seconds_until(owned.ledger.unfillable, 3 * PATIENCE_S)
        assert PATIENCE_S <= at_s <= 2.5 * PATIENCE_S
        assert owned.ledger.unfillable() == ((lacks[0], lacks[-1]),)
        assert len(verdicts) == 1
        asked = len(exchange.asked)
        await asyncio.sleep(5 * PATIENCE_S)
        assert len(exchange.asked) == asked, "never again"
        assert not list(owned.ledger.holes())


@virtually
async def test_a_history_that_lags_by_less_than_the_patience_loses_nothing() -> None:
    owned, exchange = known(), Exchange([trade(0), trade(10)])
    hear(owned, trade(10))
    async with backfilled(exchange, owned) as verdicts:
        await asyncio.sleep(PATIENCE_S - 1)
        exchange.trades[FIRST.symbol] = {number: trade(number) for number in range(11)}
        await seconds_until(lambda: is_whole(owned), 2 * PATIENCE_S)
        assert not verdicts


@pytest.mark.parametrize("says_newest", [False, True])
@virtually
async def test_an_outage_longer_than_the_patience_gives_nothing_up(says_newest: bool) -> None:
    owned, exchange = known(), Exchange(map(trade, range(30)))
    exchange.says_newest = says_newest
    exchange.broken.add(FIRST.symbol)
    hear(owned, trade(25))
    async with backfilled(exchange, owned) as verdicts:
        await asyncio.sleep(10 * PATIENCE_S)
        assert len(exchange.asked) > 5
        exchange.broken.clear()
        await seconds_until(lambda: is_whole(owned), 3 * PATIENCE_S)
        assert not verdicts


@virtually
async def test_the_patience_does_not_run_while_the_exchange_is_out() -> None:
    """The history lags before an outage, and for a second after it."""
    owned, exchange = known(), Exchange([trade(0), trade(10)])
    hear(owned, trade(10))
    async with backfilled(exchange, owned) as verdicts:
        await seconds_until(lambda: exchange.asked, 5)
        await asyncio.sleep(0.2)
        exchange.broken.add(FIRST.symbol)
        await asyncio.sleep(10 * PATIENCE_S)
        exchange.broken.clear()
        asked = len(exchange.asked)
        await seconds_until(lambda: len(exchange.asked) > asked + 1 or verdicts, 3 * PATIENCE_S)
        exchange.trades[FIRST.symbol] = {number: trade(number) for number in range(11)}
        await seconds_until(lambda: is_whole(owned) or verdicts, 3 * PATIENCE_S)
        assert not verdicts
