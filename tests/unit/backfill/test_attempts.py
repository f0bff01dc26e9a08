"""The choice of the next hole; in virtual time."""

import asyncio

from marketstream.backfill.account import Hole, holes_of
from marketstream.backfill.attempts import FIRST_DELAY_S, MOST_DELAY_S, OLDEST_EACH, PATIENCE_S, Attempts, Tried
from marketstream.postgres.writer import SymbolKey
from marketstream.processor.symbol import OwnedSymbol

from tests.unit.backfill.world import FIRST, OTHER, hear, known, trade
from tests.unit.virtual import virtually

SOON_S = FIRST_DELAY_S + 0.01


def with_holes(*trade_ids: int) -> OwnedSymbol:
    """Return a symbol with a hole below each of these ids."""
    owned = known()
    hear(owned, *map(trade, trade_ids))
    return owned


def choices(attempts: Attempts, number: int, *accounts: OwnedSymbol) -> list[int]:
    """Return the last ids of the next holes chosen."""
    found = [attempts.newest_due(accounts) for _ in range(number)]
    return [hole.last for it in found if it is not None for _, hole in [it]]


@virtually
async def test_the_newest_hole_is_chosen_and_in_turn_the_oldest() -> None:
    owned = with_holes(10, 20, 30)
    assert OLDEST_EACH == 4
    assert choices(Attempts(), 8, owned) == [29, 29, 29, 9, 29, 29, 29, 9]


@virtually
async def test_a_small_hole_between_great_ones_of_other_symbols_is_chosen_in_turn() -> None:
    newest, small, oldest = known(FIRST), known(OTHER), known(SymbolKey("simulator", "THIRD"))
    hear(newest, trade(40_000))
    hear(small, trade(5, 200))
    hear(oldest, trade(9_000, 100))
    assert choices(Attempts(), 4, newest, small, oldest) == [39_999, 4, 39_999, 8_999]


@virtually
async def test_the_newest_hole_of_all_symbols_is_chosen() -> None:
    first, other = known(FIRST), known(OTHER)
    hear(first, trade(20))
    hear(other, trade(30))
    assert choices(Attempts(), 1, first, other) == [29]
    assert Attempts().newest_due([]) is None


@virtually
async def test_a_hole_that_failed_makes_way_for_others_and_returns_later() -> None:
    owned, attempts = with_holes(10, 20), Attempts()
    newest, oldest = holes_of(owned.ledger)
    attempts.fail(owned, newest)
    assert choices(attempts, 2, owned) == [oldest.last, oldest.last]
    attempts.fail(owned, oldest)
    assert choices(attempts, 1, owned) == []
    await asyncio.sleep(SOON_S)
    assert choices(attempts, 1, owned) == [oldest.last], "the fourth choice is the oldest"


@virtually
async def test_a_hole_that_the_history_lacks_is_given_up_after_the_patience() -> None:
    owned, attempts = with_holes(10), Attempts()
    (hole,) = holes_of(owned.ledger)
    assert not attempts.miss(owned, hole)
    await asyncio.sleep(PATIENCE_S - 1)
    assert not attempts.miss(owned, hole)
    await asyncio.sleep(1)
    assert attempts.miss(owned, hole)


@virtually
async def test_a_failure_of_the_exchange_restarts_the_patience() -> None:
    owned, attempts = with_holes(10), Attempts()
    (hole,) = holes_of(owned.ledger)
    attempts.miss(owned, hole)
    await asyncio.sleep(PATIENCE_S)
    attempts.fail(owned, hole)
    assert not attempts.miss(owned, hole)


@virtually
async def test_the_rest_of_a_hole_that_was_filled_in_part_is_due_at_once() -> None:
    owned, attempts = with_holes(10), Attempts()
    (hole,) = holes_of(owned.ledger)
    attempts.fail(owned, hole)
    hear(owned, trade(1), trade(2))
    attempts.forget(owned, hole)
    found = attempts.newest_due([owned])
    assert found is not None
    assert found[1] == Hole(3, 9, trade(2).time, trade(10).time)


@virtually
async def test_delays_double_up_to_the_longest() -> None:
    tried, delays_s = Tried(), []
    for _ in range(9):
        before_s = asyncio.get_running_loop().time()
        tried.postpone()
        delays_s.append(tried.not_before - before_s)
        assert not tried.is_due()
        await asyncio.sleep(tried.not_before - before_s)
        assert tried.is_due()
    assert [round(delay_s, 6) for delay_s in delays_s] == [0.5, 1, 2, 4, 8, 16, 32, MOST_DELAY_S, MOST_DELAY_S]
