import itertools

import pytest
from marketstream.exchanges.binance.history import aggregates_are_cheaper, page_of_hole
from marketstream.exchanges.binance.scales import Scale, Scales
from marketstream.exchanges.errors import HistoryUnavailableError
from marketstream.market.trade import Trade, Trades

from tests.harness.amounts import parse_at
from tests.harness.binance.sources import ServerTrade, generated
from tests.unit.exchanges.binance.rest_sides import Case

START_US = 1_790_000_000_000_000
TRADES = list(itertools.islice(generated("BTCUSDT", 7, START_US, 100), 6_000))


def scales() -> Scales:
    return Scales(Scale(2), Scale(5))


async def fill(case: Case, first: int, last: int, *, hinted: bool) -> list[Trade]:
    """Return all pages of a hole from index `first` to `last`, as the backfill requests them."""
    found: list[Trade] = []
    after_us, before_us = (TRADES[first - 1].time_us, TRADES[last + 1].time_us) if hinted else (None, None)
    next_id = TRADES[first].id
    while next_id <= TRADES[last].id:
        page = await page_of_hole(case.rest, "BTCUSDT", scales(), next_id, TRADES[last].id, after_us, before_us)
        assert page is not None
        assert page.first_id == next_id
        found += page
        next_id = found[-1].id + found[-1].n
        after_us = found[-1].time if hinted else None
    return found


def singles(trades: list[ServerTrade]) -> list[Trade]:
    return [
        Trade(one.id, 1, one.time_us, parse_at(one.price, 2), parse_at(one.quantity, 5), not one.buyer_is_maker)
        for one in trades
    ]


def totals(trades: list[Trade]) -> dict[tuple[int, int, bool], tuple[int, int]]:
    """Return count and quantity for each time, price and side, which determine the candles."""
    found: dict[tuple[int, int, bool], tuple[int, int]] = {}
    for trade in trades:
        key = (trade.time, trade.price, trade.taker_buy)
        count, quantity = found.get(key, (0, 0))
        found[key] = (count + trade.n, quantity + trade.quantity)
    return found


@pytest.mark.parametrize(("size", "cheaper"), [(1, False), (1000, False), (1001, True), (2000, True), (100_000, True)])
def test_aggregates_are_cheaper_beyond_one_page(size: int, cheaper: bool) -> None:
    assert aggregates_are_cheaper(size) is cheaper


@pytest.mark.parametrize(("first", "last"), [(5, 5), (100, 1099), (17, 3456)])
async def test_without_times_single_trades_are_fetched_by_id(first: int, last: int) -> None:
    case = Case(TRADES)
    assert await fill(case, first, last, hinted=False) == singles(TRADES[first : last + 1])
    assert set(case.paths) == {"historicalTrades"}


@pytest.mark.parametrize("first", range(1000, 1008))
@pytest.mark.parametrize("last", [5000, 5001])
async def test_a_large_hole_is_filled_by_aggregates_and_its_edges_by_single_trades(first: int, last: int) -> None:
    case = Case(TRADES)
    found = await fill(case, first, last, hinted=True)
    ids = [trade_id for trade in found for trade_id in range(trade.id, trade.id + trade.n)]
    assert ids == [trade.id for trade in TRADES[first : last + 1]]
    assert totals(found) == totals(singles(TRADES[first : last + 1]))
    assert case.paths.count("historicalTrades") <= 2
    assert case.limits.used < 4 * 25


async def test_a_small_hole_is_one_request_even_with_times() -> None:
    case = Case(TRADES)
    await fill(case, 2000, 2999, hinted=True)
    assert case.paths == ["historicalTrades"]


async def test_after_misleading_times_single_trades_are_fetched_at_little_cost() -> None:
    case = Case(TRADES)
    first, last = TRADES[3000].id, TRADES[5000].id
    page = await page_of_hole(case.rest, "BTCUSDT", scales(), first, last, TRADES[5500].time_us, TRADES[5600].time_us)
    assert page is not None
    assert list(page) == singles(TRADES[3000:4000])
    assert case.paths == ["aggTrades", "historicalTrades"]


async def test_a_hole_in_the_history_itself_is_none_or_skipped() -> None:
    case = Case(TRADES[:50] + TRADES[60:])
    assert await page_of_hole(case.rest, "BTCUSDT", scales(), TRADES[50].id, TRADES[59].id, None, None) is None
    page = await page_of_hole(case.rest, "BTCUSDT", scales(), TRADES[48].id, TRADES[61].id, None, None)
    assert isinstance(page, Trades)
    assert list(page) == singles(TRADES[48:50] + TRADES[60:62])


async def test_a_history_that_is_behind_is_an_error_and_not_a_hole() -> None:
    case = Case(TRADES[:50])
    with pytest.raises(HistoryUnavailableError, match="has not reached trade"):
        await page_of_hole(case.rest, "BTCUSDT", scales(), TRADES[50].id, TRADES[59].id, None, None)


async def test_a_part_at_a_finer_tick_leaves_the_prices_of_the_other_part_true() -> None:
    """The aggregate across the edge is read as single trades at the old tick; the rest widens the scale."""
    old, new = ("100.12000000", "1.50000000"), ("100.12300000", "0.00000125")
    trades = [
        ServerTrade(number, START_US + max(number, 10), *(old if number < 14 else new), False)
        for number in range(2_000)
    ]
    trades = [
        trade._replace(time_us=START_US + 10) if 10 <= trade.id < 14 else trade._replace(time_us=START_US + trade.id)
        for trade in trades
    ]
    case = Case(trades)
    narrow = Scales(Scale(2), Scale(2))
    page = await page_of_hole(case.rest, "BTCUSDT", narrow, 12, 1_900, START_US + 9, START_US + 1_901)
    assert page is not None
    assert case.paths == ["aggTrades", "historicalTrades"]
    assert (page.price_scale, page.quantity_scale) == (3, 8)
    amounts = {trade.id: (trade.price, trade.quantity) for trade in page}
    assert amounts[12] == amounts[13] == (100_120, 150_000_000)
    assert amounts[14] == (100_123, 125)
    assert min(trade.price for trade in page) == 100_120
