"""CountedIds against a plain set of ids, in which id `n` has the time `1,000 * n`."""

from itertools import groupby, pairwise

from hypothesis import given
from hypothesis import strategies as st
from marketstream.market.counted import NO_LIMIT, CountedIds, Run
from marketstream.market.window import WINDOW_US

LARGEST = 60
IDS = st.integers(0, LARGEST)


@st.composite
def parts(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Draw disjoint ranges of ids in any order, as records bring them."""
    bounds = sorted(draw(st.sets(IDS, min_size=2, max_size=20)))
    ranges = [(low, high - 1) for low, high in pairwise(bounds)]
    return draw(st.permutations([part for part in ranges if draw(st.booleans())]))


def time_of(trade_id: int) -> int:
    return 1_000 * trade_id


def counted(ranges: list[tuple[int, int]]) -> tuple[CountedIds, set[int]]:
    """Return the counted ids and the set of the same ids."""
    ids, known = CountedIds(), set[int]()
    for low, high in ranges:
        index = ids.add(low, high, time_of(low), time_of(high))
        assert ids.runs[index].low <= low <= high <= ids.runs[index].high
        known.update(range(low, high + 1))
    return ids, known


def runs_of(known: set[int]) -> list[tuple[int, int]]:
    """Return the longest ranges of consecutive ids."""
    groups = [
        [trade_id for _, trade_id in group] for _, group in groupby(enumerate(sorted(known)), lambda it: it[0] - it[1])
    ]
    return [(group[0], group[-1]) for group in groups]


@given(parts())
def test_runs_are_the_longest_ranges_of_consecutive_ids_with_the_times_of_their_edges(
    ranges: list[tuple[int, int]],
) -> None:
    ids, known = counted(ranges)
    assert [(run.low, run.high) for run in ids] == runs_of(known)
    assert all((run.low_time, run.high_time) == (time_of(run.low), time_of(run.high)) for run in ids)


@given(parts(), IDS, IDS)
def test_the_overlap_is_the_number_of_counted_ids_in_a_range(
    ranges: list[tuple[int, int]], one: int, other: int
) -> None:
    ids, known = counted(ranges)
    low, high = sorted((one, other))
    assert ids.overlap(low, high) == len(known & set(range(low, high + 1)))


@given(parts(), IDS)
def test_the_index_before_an_id_is_that_of_the_last_run_that_begins_at_or_before_it(
    ranges: list[tuple[int, int]], trade_id: int
) -> None:
    ids, known = counted(ranges)
    assert ids.index_before(trade_id) == sum(low <= trade_id for low, _ in runs_of(known)) - 1


@given(parts())
def test_the_limit_after_a_run_is_the_begin_of_the_next(ranges: list[tuple[int, int]]) -> None:
    ids, known = counted(ranges)
    begins = [low for low, _ in runs_of(known)]
    assert [ids.limit_after(index) for index in range(len(ids))] == [*begins[1:], NO_LIMIT][: len(begins)]


@given(parts(), IDS)
def test_dropped_runs_are_forgotten_and_the_others_still_grow(ranges: list[tuple[int, int]], until: int) -> None:
    ids, known = counted(ranges)
    ids.drop_until(until)
    kept = [run for run in runs_of(known) if run[1] > until]
    assert [(run.low, run.high) for run in ids] == kept
    ids.add(LARGEST + 1, LARGEST + 1, 0, 0)
    assert ids.overlap(0, LARGEST) == sum(high - low + 1 for low, high in kept)


def test_a_run_proves_the_windows_between_those_of_its_edges() -> None:
    run = Run(1, 9, 3 * WINDOW_US + 1, 7 * WINDOW_US)
    assert (run.first_proven, run.last_proven) == (4, 6)


def test_a_copy_of_a_run_changes_alone() -> None:
    run = Run(1, 2, 10, 20)
    copy = run.copy()
    copy.high = 3
    assert (run.high, copy.low, copy.low_time, copy.high_time) == (2, 1, 10, 20)
