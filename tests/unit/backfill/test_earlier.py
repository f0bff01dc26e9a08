"""Ids that begin again, as the history shows them; in virtual time."""

import asyncio
from collections.abc import Iterable
from typing import Any

from marketstream.exchanges.base import Newest
from marketstream.market.counted import Run
from marketstream.market.progress import Progress
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_S, WINDOW_US
from marketstream.processor.symbol import OwnedSymbol
from structlog.testing import capture_logs

from tests.harness.model import MemoryStore
from tests.harness.scenarios import EPOCH
from tests.unit.backfill.world import FIRST, PAGE, QUIET_S, Exchange, backfilled, hear, known, trade
from tests.unit.processor.owners import apply, counted, heartbeat, owner
from tests.unit.virtual import now_us, seconds_until, virtually

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


OLD = [trade(number, number * 0.5) for number in range(101)]
"""Trades of the earlier ids, until the feed dies after 50 s."""
MISSED = [trade(number, 84 + (number - 101) * 0.1) for number in range(101, 111)]
"""Trades of the earlier ids that the feed has missed, until 4 s before the ids begin again."""
NEW = [trade(number, 88.5 + number / 60) for number in range(1, 1_500)]


def false_claims(owned: OwnedSymbol, truth: Iterable[Trade]) -> list[int]:
    """Close all windows, and return the numbers of those whose complete candles lack trades."""
    store = MemoryStore()
    apply(owned, heartbeat(13, FIRST))
    store.apply(owned.take().commit)
    trades = list(truth)
    return [
        start
        for start, row in store.rows().items()
        if row.complete
        and start >= NEW[0].time // 1_000_000
        and row.trade_count != sum(each.time // WINDOW_US * WINDOW_S == start for each in trades)
    ]


@virtually
async def test_trades_from_just_before_the_generation_are_not_fetched_into_it() -> None:
    """The history still has the earlier trades for the ids that the feed has missed."""
    owned, exchange = known(), Exchange([*OLD, *MISSED, *NEW[110:]])
    hear(owned, *OLD[1:])
    async with backfilled(exchange, owned, quiet_s=1e9):
        await asyncio.sleep(90)
        hear(owned, NEW[0], *NEW[119:])
        await seconds_until(lambda: not owned.ledger.holes(), 60)
    assert false_claims(owned, NEW) == []


@virtually
async def test_a_page_that_was_asked_for_before_the_ids_began_again_is_not_published() -> None:
    owned, exchange = known(), Exchange([*OLD, *MISSED])
    hear(owned, *OLD[1:])
    plain = exchange.history

    async def history(*ids: Any, **times: Any) -> Trades | None:
        page = await plain(*ids, **times)
        if owned.ledger.generation == 0:
            hear(owned, NEW[0])
        return page

    exchange.history = history  # type: ignore[method-assign]
    async with backfilled(exchange, owned):
        await asyncio.sleep(88.6)
    hear(owned, *NEW[1:])
    assert owned.ledger.generation == 1
    assert false_claims(owned, NEW) == []


@virtually
async def test_a_page_behind_the_first_trade_of_the_generation_is_settled() -> None:
    """No check before publishing can stop a page that Kafka has already."""
    owned = known()
    hear(owned, *OLD[1:])
    hear(owned, NEW[0])
    hear(owned, *MISSED)
    hear(owned, *NEW[1:])
    assert owned.aggregator.counters.settled == len(MISSED)
    assert false_claims(owned, NEW) == []


@virtually
async def test_an_answer_about_earlier_ids_confirms_no_jump_of_the_new_ones() -> None:
    run = Run(10**9, 10**9 + 50, EPOCH - 100_000_000, EPOCH - 90_000_000)
    owned = owner(FIRST, Progress(closed_until=EPOCH // WINDOW_US, counted=(run,), begin_known=True))
    exchange = Exchange()

    async def newest(_symbol: str) -> Newest:
        if owned.ledger.generation == 0:
            hear(owned, trade(1, (now_us() - EPOCH) / 1e6))
        return Newest(run.high, now_us())

    exchange.newest = newest  # type: ignore[method-assign]
    async with backfilled(exchange, owned):
        await seconds_until(lambda: owned.ledger.generation == 1, 60)
        await asyncio.sleep(1)
        assert owned.ledger.reached_id < run.low


@virtually
async def test_a_trade_that_arrives_while_the_newest_is_fetched_gives_no_hint() -> None:
    owned, exchange = owner(FIRST), Exchange([trade(7, -300)])
    plain = exchange.history

    async def history(*ids: Any, **times: Any) -> Trades | None:
        page = await plain(*ids, **times)
        exchange.trades[FIRST.symbol][8] = live = trade(8, (now_us() - EPOCH) / 1e6)
        hear(owned, live)
        return page

    exchange.history = history  # type: ignore[method-assign]
    with capture_logs() as lines:
        async with backfilled(exchange, owned):
            await asyncio.sleep(QUIET_S + 5.0)
    assert counted(owned) == [(7, 8)]
    assert [line for line in lines if "may have begun again" in line["event"]] == []
