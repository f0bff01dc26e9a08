"""The ledger, with ids whose times are given in windows."""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from marketstream.market.candle import HOLE, UNCONFIRMED, UNFILLABLE, UNORDERED_IDS
from marketstream.market.counted import Run
from marketstream.market.doubts import merged
from marketstream.market.ledger import Ledger
from marketstream.market.progress import Progress
from marketstream.market.verdict import Verdict
from marketstream.market.window import WINDOW_US, window_of

Ranges = list[tuple[int, int]]


def us(window: float) -> int:
    """Return a time in windows as Unix µs."""
    return int(window * WINDOW_US)


def ledger(*counted: tuple[int, int, float, float], closed_until: int = 0, **limits: int) -> Ledger:
    """Return a ledger of runs (low, high, low time, high time), whose windows below `closed_until` are closed."""
    runs = tuple(Run(low, high, us(low_time), us(high_time)) for low, high, low_time, high_time in counted)
    progress = Progress(closed_until=closed_until, counted=runs)
    return Ledger(progress, max_id_jump=limits.get("max_id_jump", 1_000), max_holes=limits.get("max_holes", 100))


def reasons(verdicts: list[Verdict]) -> dict[int, str | None]:
    """Return the reason by window."""
    return {window: it.reason for it in verdicts for window in range(it.first, it.last + 1)}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10)).map(lambda it: (it[0], it[0] + it[1]))))
def test_merged_ranges_hold_the_same_numbers_and_never_touch(ranges: Ranges) -> None:
    result = merged(ranges)
    assert {n for low, high in result for n in range(low, high + 1)} == {
        n for low, high in ranges for n in range(low, high + 1)
    }
    assert all(before[1] + 1 < after[0] for before, after in pairwise(result))


def test_only_closed_windows_are_judged_and_each_only_once() -> None:
    account = ledger((1, 5, 0.5, 4.5), closed_until=3)
    account.doubt(0, 7)
    assert reasons(account.take_verdicts()) == {0: UNCONFIRMED, 1: None, 2: None}
    assert not account.is_in_doubt
    assert account.take_verdicts() == []


def test_a_hole_puts_the_windows_of_the_trades_around_it_in_doubt() -> None:
    account = ledger((1, 2, 0.5, 2.5), closed_until=9)
    account.count(5, 6, us(4.5), us(7.5))
    assert list(account.holes()) == [(3, 4)]
    assert reasons(account.take_verdicts()) == {2: HOLE, 3: HOLE, 4: HOLE, 5: None, 6: None, 7: UNCONFIRMED}
    account.count(3, 4, us(3.5), us(3.6))
    assert list(account.holes()) == []
    assert reasons(account.take_verdicts()) == {2: None, 3: None, 4: None}


def test_a_jump_of_ids_is_no_hole() -> None:
    account = ledger((1, 2, 0.5, 2.5), (2_000, 2_001, 4.5, 6.5), closed_until=9, max_id_jump=1_000)
    assert list(account.holes()) == []
    account.doubt(3, 3)
    assert reasons(account.take_verdicts()) == {3: UNCONFIRMED}
    assert account.jumps(4_000)
    assert not account.jumps(2_002)


def test_a_jump_is_a_hole_once_the_exchange_has_come_to_it() -> None:
    account = ledger((1, 2, 0.5, 2.5), (2_000, 2_001, 4.5, 6.5), (9_000, 9_000, 7.5, 7.5), closed_until=9)
    assert account.undecided() == (2_000, 9_000)
    assert not account.reach(1_999)
    assert account.reach(2_001)
    assert list(account.holes()) == [(3, 1_999)]
    assert account.undecided() == (9_000,)
    assert reasons(account.take_verdicts()) == {2: HOLE, 3: HOLE, 4: HOLE}
    assert not account.reach(5), "an older answer takes nothing back"
    assert not account.reach(8_999)
    assert account.reach(9_000)
    assert list(account.holes()) == [(3, 1_999), (2_002, 8_999)]
    account.count(50_000, 50_000, us(8.5), us(8.5))
    assert account.undecided() == (50_000,)


def test_a_wide_hole_that_was_given_up_stays_unfillable_although_the_exchange_was_not_asked_since() -> None:
    account = ledger((1, 2, 0.5, 2.5), (2_000, 2_001, 4.5, 6.5), closed_until=9)
    account.give_up(3, 1_999)
    assert reasons(account.take_verdicts()) == {2: UNFILLABLE, 3: UNFILLABLE, 4: UNFILLABLE}
    assert account.undecided() == ()


def test_ids_without_order_leave_nothing_to_decide() -> None:
    account = ledger((1, 2, 0.5, 2.5), (2_000, 2_001, 4.5, 6.5), closed_until=9)
    account.is_unordered = True
    assert account.undecided() == ()
    assert not account.reach(5_000)


def test_a_hole_is_unfillable_only_if_all_of_it_was_given_up() -> None:
    account = ledger((1, 2, 0.5, 2.5), (6, 7, 4.5, 6.5), closed_until=9)
    account.give_up(3, 4)
    assert list(account.holes()) == [(3, 5)]
    account.give_up(5, 5)
    assert list(account.holes()) == []
    assert account.unfillable() == ((3, 5),)
    assert reasons(account.take_verdicts()) == {2: UNFILLABLE, 3: UNFILLABLE, 4: UNFILLABLE}


def test_a_given_up_range_is_forgotten_once_it_is_filled() -> None:
    account = ledger((1, 2, 0.5, 2.5), (5, 6, 4.5, 6.5), closed_until=9)
    account.give_up(3, 4)
    account.count(3, 4, us(3.5), us(3.5))
    assert account.unfillable() == ()


def test_the_newest_run_is_the_one_that_reaches_furthest_in_time() -> None:
    stray = ledger((1, 2, 0.5, 8.5), (9_000, 9_000, 3.5, 3.5))
    newest = stray.newest_run()
    assert newest is not None
    assert (newest.low, newest.high) == (1, 2)
    assert ledger().newest_run() is None


def test_windows_are_proven_up_to_the_first_hole_or_to_the_newest_trade() -> None:
    assert ledger().complete() is None
    assert ledger((1, 2, 0.5, 2.5), (5, 6, 4.5, 6.5)).complete() == (1, 2)
    assert ledger((1, 6, 0.5, 6.5)).complete() == (1, 6)
    assert ledger((1, 6, 0.5, 0.9)).complete() is None


def test_the_stretch_proven_begins_after_the_last_jump_and_the_last_hole_given_up() -> None:
    account = ledger((1, 2, 0.5, 2.5), (2_000, 2_001, 4.5, 7.5))
    assert account.complete() == (5, 7)
    account = ledger((1, 2, 0.5, 2.5), (5, 6, 4.5, 7.5), (8, 9, 8.5, 9.5))
    assert account.complete() == (1, 2)
    account.give_up(3, 4)
    assert account.complete() == (5, 7)
    account.give_up(7, 7)
    assert account.complete() == (5, 7), "the newest run proves no window yet"
    account.count(10, 10, us(11.5), us(11.5))
    assert account.complete() == (9, 11)


def test_the_stretch_proven_ends_before_the_first_hole_or_where_the_run_before_it_proves_nothing() -> None:
    account = ledger((1, 2, 0.5, 3.5), (5, 6, 4.5, 4.9), (8, 9, 8.5, 11.5))
    account.give_up(3, 4)
    assert account.complete() == (1, 3)


def test_a_window_with_a_stray_id_is_not_in_the_stretch_proven() -> None:
    assert ledger((0, 0, 4.5, 4.5), (10**6, 10**6 + 5, 0.5, 9.5)).complete() == (5, 9)


@given(st.randoms(use_true_random=False))
def test_the_stretch_proven_holds_no_edge_of_a_run_but_of_the_one_that_proves_it(rng: Random) -> None:
    runs, low = [], 1
    for _ in range(rng.randint(1, 5)):
        high = low + rng.randint(0, 3)
        times = sorted(rng.randint(0, 80) / 4 for _ in range(2)) if high > low else [rng.randint(0, 80) / 4] * 2
        runs.append((low, high, times[0], times[1]))
        low = high + rng.choice((2, 5_000))
    account = ledger(*runs)
    first, until = account.complete() or (0, 0)
    for window in range(first, until):
        assert any(run.first_proven <= window <= run.last_proven for run in account.counted)
        assert not any(window in (window_of(run.low_time), window_of(run.high_time)) for run in account.counted)


def test_a_trade_of_another_segment_leaves_its_window_unconfirmed() -> None:
    account = ledger((1, 6, 0.5, 6.5))
    assert account.reason(3, 2, 4) is None
    assert account.reason(3, 2, 9_000) == UNCONFIRMED


def test_quiet_is_confirmed_only_after_the_newest_trade() -> None:
    account = ledger((1, 6, 0.5, 2.5), closed_until=9)
    assert not account.confirm_quiet(7, us(8.5))
    assert account.confirm_quiet(6, us(8.5))
    assert reasons(account.take_verdicts()) == dict.fromkeys(range(2, 8)) | {8: UNCONFIRMED}
    assert account.confirm_quiet(6, us(5.0)), "an older proof takes nothing back"
    assert account.complete() == (1, 8)


def test_a_beginning_is_confirmed_only_before_the_lowest_trade() -> None:
    account = ledger((5, 9, 2.5, 6.5), closed_until=9)
    assert not account.confirm_begin(4, us(0.9))
    assert account.confirm_begin(5, us(0.9))
    assert reasons(account.take_verdicts()) == {0: UNCONFIRMED, 1: None, 2: None}


def test_closing_a_run_takes_over_the_proofs_of_its_edges() -> None:
    account = ledger(closed_until=1)
    account.count(5, 6, us(2.5), us(2.6))
    account.confirm_begin(5, us(1.5))
    account.confirm_quiet(6, us(7.5))
    account.closed_until = 9
    account.close(Run(5, 6, us(2.5), us(2.6)))
    (closed,) = account.closed
    assert (closed.low_time, closed.high_time) == (us(1.5), us(7.5))


def test_a_time_against_the_order_of_adjacent_ids_is_noticed() -> None:
    account = ledger((1, 2, 0.5, 2.5), (6, 7, 4.5, 6.5))
    assert account.out_of_order(3, 3, us(2.4))
    assert account.out_of_order(5, 5, us(4.6))
    assert not account.out_of_order(3, 5, us(3.0))
    assert not account.out_of_order(4, 4, us(9.0)), "no adjacent id is counted"


def test_too_many_holes_give_up_the_oldest_ids_permanently() -> None:
    account = ledger(*((10 * n, 10 * n, n, n) for n in range(5)), closed_until=9, max_holes=2)
    account.prune()
    assert [(run.low, run.high) for run in account.counted] == [(20, 20), (30, 30), (40, 40)]
    assert account.settled_id == 19
    assert reasons(account.take_verdicts()) == dict.fromkeys(range(3), UNFILLABLE) | {2: HOLE}


def test_ids_of_open_windows_stay_accounted_for() -> None:
    account = ledger(max_holes=1)
    for n in range(5):
        account.count(10 * n, 10 * n, us(n), us(n))
    account.prune()
    assert len(account.counted) == 5
    assert account.settled_id == -1


def test_ids_without_order_prove_nothing_and_leave_no_hole() -> None:
    account = ledger((1, 5, 0.5, 2.5), closed_until=9)
    account.is_unordered = True
    account.count(9, 9, us(4.5), us(4.5))
    assert list(account.holes()) == []
    assert account.complete() is None
    assert account.reason(1, 2, 3) == UNORDERED_IDS
    assert reasons(account.take_verdicts()) == {2: UNORDERED_IDS, 3: UNORDERED_IDS, 4: UNORDERED_IDS}
    assert not account.is_in_doubt
