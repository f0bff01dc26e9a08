"""Properties of the whole core: the candles do not depend on the arrival of trades, and completeness is true."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from marketstream.market.aggregator import Aggregator
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_S, WINDOW_US

from tests.harness.model import MemoryStore, reference_candles
from tests.harness.scenarios import EPOCH, FAR, GRACE_US, PRICE_SCALE, QUANTITY_SCALE, Reading, Scenario, scenarios


def run(scenario: Scenario, store: MemoryStore) -> None:
    """Read the log as a processor does, which commits, is killed, and resumes from the resume offset."""
    reading = Reading(scenario, store.progress)
    for commit in reading.read():
        if commit is None:
            reading.begin(store.progress)
        else:
            store.apply(commit)
            assert_no_false_claim(scenario, store)
            assert_stretch_is_proven(scenario, store, reading.aggregator)


def assert_no_false_claim(scenario: Scenario, store: MemoryStore) -> None:
    truth = reference_candles(scenario.trades, PRICE_SCALE, QUANTITY_SCALE)
    for start, row in store.rows().items():
        if row.complete:
            assert row == truth[start]


def assert_stretch_is_proven(scenario: Scenario, store: MemoryStore, aggregator: Aggregator) -> None:
    """Check that every stored row of the stretch that is said to be proven is complete, and that it ends at a hole."""
    first, until = aggregator.ledger.complete() or (0, 0)
    rows = store.rows()
    traded = {trade.time // WINDOW_US for trade in scenario.trades}
    for window in range(first, min(until, store.progress.closed_until)):
        assert rows[window * WINDOW_S].complete, "no row would be one that is not proven"
        assert window not in traded or rows[window * WINDOW_S].trade_count


@settings(max_examples=600, deadline=None)
@given(scenarios())
def test_any_arrival_gives_the_same_candles_and_completeness_is_claimed_exactly_when_true(scenario: Scenario) -> None:
    store = MemoryStore()
    run(scenario, store)
    assert store.rows() == reference_candles(scenario.delivered(), PRICE_SCALE, QUANTITY_SCALE)


@settings(max_examples=200, deadline=None)
@given(scenarios())
def test_the_account_stored_is_that_of_the_trades_delivered(scenario: Scenario) -> None:
    store = MemoryStore()
    run(scenario, store)
    stored = [trade_id for run_ in store.progress.counted for trade_id in range(run_.low, run_.high + 1)]
    assert stored == sorted(trade.id for trade in scenario.delivered())
    assert store.progress.closed_until == (FAR - GRACE_US) // WINDOW_US
    times = {trade.id: trade.time for trade in scenario.trades}
    for run_ in store.progress.counted:
        assert (run_.low_time, run_.high_time) == (times[run_.low], times[run_.high])


Shown = tuple[int, int]
"""The window before which all are complete, and the time (Unix µs) up to which trades or their absence are known."""


def shown(aggregator: Aggregator) -> Shown:
    """Return the progress of the symbol as Redis shows it."""
    newest = aggregator.ledger.newest_run()
    return (aggregator.ledger.complete() or (0, 0))[1], newest.high_time if newest is not None else 0


def run_watched(scenario: Scenario, store: MemoryStore) -> None:
    """Read the log as `run` does, and check that an owner shows no less than the owner before at the same offset."""
    best: dict[int, Shown] = {}

    def look(reading: Reading) -> None:
        if reading.offset < store.progress.position:
            return  # nothing is published before that
        now, before = shown(reading.aggregator), best.get(reading.offset, (0, 0))
        assert all(more >= less for more, less in zip(now, before, strict=True))
        best[reading.offset] = now

    reading = Reading(scenario, store.progress, look)
    for commit in reading.read():
        if commit is None:
            reading.begin(store.progress)
            look(reading)
        else:
            store.apply(commit)
            assert_true_beyond_the_end(scenario, store)


def assert_true_beyond_the_end(scenario: Scenario, store: MemoryStore) -> None:
    """Check that every complete row is true, where the exchange proves that no trade followed the last one."""
    after = Trade(scenario.trades[-1].id + 1, 1, FAR + WINDOW_US, 1, 1, taker_buy=True)
    truth = reference_candles([*scenario.trades, after], PRICE_SCALE, QUANTITY_SCALE)
    assert all(row == truth[start] for start, row in store.rows().items() if row.complete)


@settings(max_examples=40, deadline=None)
@given(scenarios(quiet=0.4))
def test_a_restart_at_any_record_loses_no_proof_that_a_market_was_quiet(scenario: Scenario) -> None:
    killed, unharmed = MemoryStore(), MemoryStore()
    run_watched(scenario, killed)
    run_watched(replace(scenario, kills=frozenset()), unharmed)
    proven = {start: row for start, row in unharmed.rows().items() if row.complete}
    assert proven.items() <= killed.rows().items()
    assert killed.rows().keys() == unharmed.rows().keys()


def aggregator_for(**limits: int) -> Aggregator:
    return Aggregator(MemoryStore().progress, grace_us=GRACE_US, **{"max_id_jump": 10**6, "max_holes": 1_000, **limits})


def at(trade_id: int, window: float, price: int = 100, n: int = 1) -> Trade:
    return Trade(trade_id, n, EPOCH + int(window * WINDOW_US), price, 5, taker_buy=True)


def feed(aggregator: Aggregator, store: MemoryStore, *records: list[Trade] | float) -> None:
    for offset, record in enumerate(records):
        if isinstance(record, list):
            aggregator.apply(Trades.of(record, PRICE_SCALE, QUANTITY_SCALE), offset, FAR)
        else:
            aggregator.heartbeat(EPOCH + int(record * WINDOW_US))
    store.apply(aggregator.take(len(records)))


def reasons(store: MemoryStore) -> dict[int, str | None]:
    return {window - EPOCH // WINDOW_US: reason for window, reason in store.reasons.items()}


def test_a_hole_taints_the_windows_of_the_trades_around_it_until_it_is_filled() -> None:
    aggregator, store = aggregator_for(), MemoryStore()
    feed(aggregator, store, [at(1, 0.5), at(2, 1.5), at(3, 2.5), at(6, 4.5), at(7, 5.5)], 9.0)
    assert reasons(store) == {0: "unconfirmed", 1: None, 2: "hole", 4: "hole", 5: "unconfirmed"}
    assert list(aggregator.ledger.holes()) == [(4, 5)]
    feed(aggregator, store, [at(5, 3.2)])
    assert reasons(store)[3] == "hole"
    assert reasons(store)[4] is None
    feed(aggregator, store, [at(4, 2.7)])
    assert reasons(store) == {0: "unconfirmed", 1: None, 2: None, 3: None, 4: None, 5: "unconfirmed"}
    assert not list(aggregator.ledger.holes())


def test_a_quiet_market_is_proven_by_its_next_trade() -> None:
    aggregator, store = aggregator_for(), MemoryStore()
    feed(aggregator, store, [at(1, 0.5), at(2, 1.5)], 6.0)
    assert reasons(store) == {0: "unconfirmed", 1: "unconfirmed"}
    assert not store.empty
    feed(aggregator, store, [at(3, 6.5)])
    assert reasons(store)[1] is None
    assert sorted(window - EPOCH // WINDOW_US for window in store.empty) == [2, 3, 4, 5]


def test_a_hole_given_up_is_terminal_and_says_so() -> None:
    aggregator, store = aggregator_for(), MemoryStore()
    feed(aggregator, store, [at(1, 0.5), at(2, 1.5), at(5, 1.6), at(6, 2.5)], 9.0)
    aggregator.ledger.give_up(3, 4)
    store.apply(aggregator.take(9))
    assert reasons(store)[1] == "unfillable"
    assert not list(aggregator.ledger.holes())
    assert store.progress.unfillable == ((3, 4),)
    feed(aggregator, store, [at(3, 1.55), at(4, 1.56)])
    assert reasons(store)[1] is None, "a trade that comes after all is counted"
    assert store.progress.unfillable == ()


def test_a_jump_of_a_billion_ids_is_a_segment_and_the_old_sequence_continues() -> None:
    aggregator, store = aggregator_for(), MemoryStore()
    feed(aggregator, store, [at(1, 0.5), at(2, 1.1), at(10**9, 1.5), at(3, 1.9), at(4, 2.5), at(5, 3.1)], 9.0)
    assert reasons(store) == {0: "unconfirmed", 1: "unconfirmed", 2: None, 3: "unconfirmed"}
    assert not list(aggregator.ledger.holes()), "a jump is never an unbounded backfill"


def test_the_account_stays_bounded_by_giving_up_the_oldest_hole() -> None:
    aggregator, store = aggregator_for(max_holes=2), MemoryStore()
    feed(aggregator, store, [at(2 * n, n + 0.5) for n in range(1, 6)], 20.0)
    store.apply(aggregator.take(2))
    assert len(aggregator.ledger.counted) == 3
    assert store.progress.settled_id == 5
    assert reasons(store) == {1: "unfillable", 2: "unfillable", 3: "hole", 4: "hole", 5: "hole"}
    feed(aggregator, store, [at(3, 1.7)])
    assert aggregator.counters.settled == 1
    assert reasons(store)[1] == "unfillable"


def test_an_open_window_is_never_given_up() -> None:
    aggregator, store = aggregator_for(max_holes=2), MemoryStore()
    feed(aggregator, store, [at(2 * n, 0.5 + n / 100) for n in range(1, 20)])
    assert store.progress.settled_id == -1
    assert store.progress.resume_offset == 0
    feed(aggregator, store, 3.0)
    assert len(aggregator.ledger.counted) == 3


def test_an_aggregate_counts_its_ids_and_is_refused_where_some_are_counted() -> None:
    aggregator, store = aggregator_for(), MemoryStore()
    feed(aggregator, store, [at(1, 0.5), at(2, 1.2), at(5, 1.6), at(6, 2.5)], [at(2, 1.4, n=2)], 9.0)
    assert aggregator.counters.partial == 2
    feed(aggregator, store, [at(3, 1.4, price=7, n=2)])
    window = EPOCH // WINDOW_US + 1
    assert (store.candles[window].trade_count, store.candles[window].low) == (4, 7)
    assert reasons(store)[1] is None


def test_trades_out_of_order_are_counted_late_and_said() -> None:
    aggregator, store = aggregator_for(), MemoryStore()
    feed(aggregator, store, [at(1, 0.5), at(2, 1.5), at(3, 3.5)], [at(4, 1.7)], [at(5, 4.5)], 9.0)
    assert (aggregator.counters.unordered, aggregator.counters.late) == (1, 1)
    assert store.rows()[(EPOCH // WINDOW_US + 1) * WINDOW_S].trade_count == 2


def test_reading_resumes_at_the_first_record_of_the_oldest_open_window() -> None:
    aggregator, store = aggregator_for(), MemoryStore()
    feed(aggregator, store, [at(1, 0.5)], [at(2, 1.01)], [at(3, 1.5)])
    assert store.progress.resume_offset == 1
    assert store.progress.position == 3
    assert [(run_.low, run_.high) for run_ in store.progress.counted] == [(1, 1)]


def test_the_exchange_can_prove_a_market_quiet_and_a_first_window_whole() -> None:
    aggregator, store = aggregator_for(), MemoryStore()
    feed(aggregator, store, [at(5, 0.5), at(6, 1.5)], 6.0)
    assert reasons(store) == {0: "unconfirmed", 1: "unconfirmed"}
    assert not aggregator.ledger.confirm_quiet(7, EPOCH + 4 * WINDOW_US), "a trade that has not come is a hole"
    assert not aggregator.ledger.confirm_begin(6, EPOCH)
    assert aggregator.ledger.confirm_quiet(6, EPOCH + 4 * WINDOW_US)
    assert aggregator.ledger.confirm_begin(5, EPOCH - 1)
    store.apply(aggregator.take(2))
    assert reasons(store) == {0: None, 1: None}
    assert sorted(window - EPOCH // WINDOW_US for window in store.empty) == [2, 3]
    feed(aggregator, store, [at(7, 6.5)])
    assert sorted(window - EPOCH // WINDOW_US for window in store.empty) == [2, 3, 4, 5]


def restarted(store: MemoryStore) -> Aggregator:
    """Return the aggregator of the next owner, which has nothing left to read."""
    assert store.progress.resume_offset == store.progress.position
    return Aggregator(store.progress, grace_us=GRACE_US, max_id_jump=10**6, max_holes=1_000)


@pytest.mark.parametrize("until", [1.9, 2.05, 7.0], ids=["in its window", "in the grace after it", "windows later"])
def test_a_restart_keeps_the_proof_of_a_quiet_market_whose_last_trade_was_in_an_open_window(until: float) -> None:
    aggregator, store = aggregator_for(), MemoryStore()
    aggregator.apply(Trades.of([at(1, 0.5), at(2, 1.5)], PRICE_SCALE, QUANTITY_SCALE), 0, FAR)
    aggregator.quiet(2, EPOCH + int(until * WINDOW_US))
    aggregator.heartbeat(EPOCH + 9 * WINDOW_US)
    store.apply(aggregator.take(3))
    proven = EPOCH // WINDOW_US + int(until) if until >= 2 else 0
    assert shown(restarted(store)) == shown(aggregator) == (proven, EPOCH + until * WINDOW_US)


def test_a_restart_keeps_the_proof_of_a_beginning_in_an_open_window() -> None:
    aggregator, store = aggregator_for(), MemoryStore()
    aggregator.apply(Trades.of([at(5, 0.5)], PRICE_SCALE, QUANTITY_SCALE), 0, FAR)
    assert aggregator.ledger.confirm_begin(5, EPOCH - 1)
    aggregator.heartbeat(EPOCH + 2 * WINDOW_US)
    store.apply(aggregator.take(2))
    aggregator = restarted(store)
    feed(aggregator, store, [at(6, 2.5)])
    assert reasons(store) == {0: None}


def test_a_run_that_grows_below_the_newest_trade_leaves_the_close_alone() -> None:
    aggregator, store = aggregator_for(), MemoryStore()
    feed(aggregator, store, [at(1, 0.1), at(7, 0.9, price=7)], [at(2, 0.2)], [at(3, 0.3)], 9.0)
    (candle,) = store.candles.values()
    assert (candle.close, candle.close_id, candle.last_id) == (7, 7, 7)


def test_columns_that_reach_a_window_from_below_give_it_its_open_and_leave_its_close_alone() -> None:
    aggregator, store = aggregator_for(), MemoryStore()
    feed(aggregator, store, [at(1, 0.1), at(7, 1.9, price=7)], [at(2, 0.2)], [at(3, 0.3), at(4, 1.4, price=4)], 9.0)
    candle = store.candles[EPOCH // WINDOW_US + 1]
    assert (candle.open, candle.open_id, candle.first_id) == (4, 4, 4)
    assert (candle.close, candle.close_id, candle.last_id) == (7, 7, 7)
