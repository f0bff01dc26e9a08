"""Ids that begin again, as the history shows them; in virtual time."""

import asyncio

from marketstream.exchanges.base import Newest
from structlog.testing import capture_logs

from tests.unit.backfill.world import FIRST, PAGE, QUIET_S, Exchange, backfilled, hear, known, trade
from tests.unit.processor.owners import counted
from tests.unit.virtual import seconds_until, virtually

LATER_S = 1_000.0
"""Seconds after which the ids begin again."""


@virtually
async def test_a_stray_low_id_does_not_make_the_backfill_fetch_all_trades_of_before() -> None:
    owned, exchange = known(), Exchange(map(trade, range(2_000)))
    hear(owned, *map(trade, range(1_900, 2_000)))
    hear(owned, trade(5, LATER_S))
    exchange.trades[FIRST.symbol] |= {
        trade_id: trade(trade_id, LATER_S + trade_id / 1_000) for trade_id in (2_000, 2_001)
    }
    hear(owned, trade(2_001, LATER_S + 2.001))
    assert owned.ledger.generation == 1
    async with backfilled(exchange, owned) as verdicts:
        await seconds_until(lambda: bool(verdicts), 600)
        assert not owned.ledger.holes()
        assert counted(owned) == [(5, 5), (2_000, 2_001)]
        assert owned.ledger.unfillable() == ((6, 1_999),)
        assert len(exchange.asked) < 2_000 / PAGE / 5


@virtually
async def test_the_trades_of_a_generation_are_fetched_but_not_those_of_the_one_before() -> None:
    owned, exchange = known(), Exchange(map(trade, range(200)))
    hear(owned, *map(trade, range(1, 200)))
    exchange.trades[FIRST.symbol] |= {trade_id: trade(trade_id, LATER_S + trade_id) for trade_id in range(100, 150)}
    hear(owned, trade(90, LATER_S), trade(149, LATER_S + 149))
    async with backfilled(exchange, owned):
        await seconds_until(lambda: not owned.ledger.holes(), 600)
        assert counted(owned) == [(90, 90), (100, 149)]
        assert owned.ledger.unfillable() == ((91, 99),)


@virtually
async def test_a_newest_id_below_the_counted_ones_proves_nothing_and_is_logged_once() -> None:
    owned, exchange = known(), Exchange(map(trade, range(5)))
    hear(owned, *map(trade, range(1, 20)))
    with capture_logs() as lines:
        async with backfilled(exchange, owned):
            await asyncio.sleep(5 * QUIET_S)
    assert [line["newest_id"] for line in lines if "may have begun again" in line["event"]] == [4]
    assert counted(owned) == [(0, 19)]
    assert not exchange.asked


@virtually
async def test_nothing_is_given_up_in_a_generation_that_begins_while_the_exchange_answers() -> None:
    owned, exchange = known(), Exchange([*map(trade, range(10)), *map(trade, range(20, 300))])
    hear(owned, *map(trade, range(1, 10)), *map(trade, range(20, 30)))
    plain = exchange.newest

    async def newest(symbol: str) -> Newest | None:
        answer = await plain(symbol)
        hear(owned, trade(1, LATER_S))
        return answer

    exchange.newest = newest  # type: ignore[method-assign]
    async with backfilled(exchange, owned, quiet_s=1e6):
        await seconds_until(lambda: owned.ledger.generation == 1, 200)
        await asyncio.sleep(5)
    assert owned.ledger.unfillable() == ()
