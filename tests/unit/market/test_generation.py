"""Ids that begin again: every trade is counted once, and no window is complete that one generation does not prove."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marketstream.market.aggregator import Aggregator
from marketstream.market.doubts import outside
from marketstream.market.progress import Progress
from marketstream.market.trade import Trade, Trades
from marketstream.market.verdict import Verdict
from marketstream.market.window import WINDOW_S, WINDOW_US

from tests.harness.model import MemoryStore, Row, reference_generations
from tests.harness.resets import Case, cases, sequence
from tests.harness.scenarios import (
    EPOCH,
    FAR,
    GRACE_US,
    PRICE_SCALE,
    QUANTITY_SCALE,
    Reading,
)


def read(case: Case, store: MemoryStore) -> None:
    """Read the log as a processor does that commits, is killed, and resumes from the resume offset."""
    truth = without_ids_of_empty(reference_generations(case.generations, PRICE_SCALE, QUANTITY_SCALE))
    reading = Reading(case.scenario, store.progress)
    for commit in reading.read():
        if commit is None:
            reading.begin(store.progress)
        else:
            store.apply(commit)
            rows = without_ids_of_empty(store.rows())
            assert all(row == truth.get(start) for start, row in rows.items() if row.complete)


@settings(max_examples=600, deadline=None)
@given(cases())
def test_every_trade_is_counted_once_and_completeness_is_claimed_exactly_when_one_generation_proves_it(
    case: Case,
) -> None:
    store = MemoryStore()
    read(case, store)
    expected = reference_generations(case.delivered, PRICE_SCALE, QUANTITY_SCALE)
    assert without_ids_of_empty(store.rows()) == without_ids_of_empty(expected)
    assert store.progress.generation == len(case.generations) - 1


def without_ids_of_empty(rows: dict[int, Row]) -> dict[int, Row]:
    """Return the rows, those of windows without trades without the ids around them."""
    return {
        start: row if row.trade_count else replace(row, first_trade_id=0, last_trade_id=0)
        for start, row in rows.items()
    }


class Symbol:
    """A symbol that reads one record after another; times are in windows since EPOCH."""

    def __init__(self, max_holes: int = 1_000) -> None:
        self.store = MemoryStore()
        self.aggregator = Aggregator(Progress(), grace_us=GRACE_US, max_id_jump=10**6, max_holes=max_holes)
        self.offset = 0

    def read(self, *trades: Trade) -> None:
        self.aggregator.apply(Trades.of(trades, PRICE_SCALE, QUANTITY_SCALE), self.offset, FAR)
        self.offset += 1

    def beat(self, window: float) -> None:
        self.aggregator.heartbeat(EPOCH + int(window * WINDOW_US))
        self.offset += 1

    def rows(self) -> dict[int, Row]:
        self.store.apply(self.aggregator.take(self.offset))
        return {start // WINDOW_S - EPOCH // WINDOW_US: row for start, row in self.store.rows().items()}

    def reasons(self) -> dict[int, str | None]:
        self.store.apply(self.aggregator.take(self.offset))
        return {window - EPOCH // WINDOW_US: reason for window, reason in self.store.reasons.items()}


def at(trade_id: int, window: float, n: int = 1) -> Trade:
    return Trade(trade_id, n, EPOCH + int(window * WINDOW_US), 100, 5, taker_buy=True)


@pytest.mark.parametrize("first_id", [1, 10])
def test_ids_that_begin_again_days_later_are_new_trades(first_id: int) -> None:
    symbol = Symbol()
    for trade_id in range(first_id, 21):
        symbol.read(at(trade_id, trade_id - first_id + 0.5))
    for number in range(1, 31):
        symbol.read(at(number, 10_000 - 100 + number / 3))
    symbol.beat(9_950)
    rows = symbol.rows()
    assert [rows[9_900 + window].trade_count for window in range(11)] == [2, *[3] * 9, 1]
    assert [window for window, row in rows.items() if row.complete and not row.trade_count] == []
    assert all(rows[9_900 + window].complete for window in range(1, 10))
    assert not rows[9_900].complete
    assert symbol.aggregator.counters.as_dict()["duplicate"] == 0
    (begun,) = symbol.aggregator.begun
    assert begun == (1, 20, 1, at(1, 9_900 + 1 / 3).time)


def test_a_window_that_holds_trades_of_two_generations_is_never_complete() -> None:
    symbol = Symbol()
    symbol.read(*(at(trade_id, trade_id - 99.9) for trade_id in range(100, 105)))
    symbol.read(at(10, 4.5), at(11, 4.6), at(12, 5.5), at(13, 6.5), at(14, 8.5))
    symbol.beat(10)
    rows = symbol.rows()
    assert (rows[4].trade_count, rows[4].first_trade_id, rows[4].last_trade_id) == (3, 10, 104)
    assert [rows[window].complete for window in range(1, 9)] == [True, True, True, False, True, True, True, False]
    assert rows[7].trade_count == 0


def test_the_holes_of_an_earlier_generation_are_given_up() -> None:
    symbol = Symbol()
    symbol.read(at(100, 0.5), at(101, 1.5), at(104, 2.5), at(105, 3.5))
    symbol.read(at(50, 9.5), at(51, 10.5), at(52, 11.5))
    symbol.beat(14)
    assert symbol.reasons() == {
        0: "unconfirmed", 1: "unfillable", 2: "unfillable", 3: "unconfirmed", 9: "unconfirmed", 10: None,
        11: "unconfirmed",
    }  # fmt: skip
    assert not symbol.aggregator.ledger.holes()
    assert symbol.store.progress.unfillable == ()


def test_the_stored_account_is_that_of_the_earlier_generation_until_a_window_of_the_new_one_closes() -> None:
    symbol = Symbol()
    symbol.read(*(at(trade_id, trade_id - 99.5) for trade_id in range(100, 105)))
    symbol.read(at(10, 4.8))
    symbol.rows()
    assert (symbol.store.progress.generation, symbol.store.progress.since_us) == (0, 0)
    assert [(run.low, run.high) for run in symbol.store.progress.counted] == [(100, 103)]
    symbol.beat(9)
    symbol.rows()
    assert (symbol.store.progress.generation, symbol.store.progress.since_us) == (1, at(10, 4.8).time)
    assert [(run.low, run.high) for run in symbol.store.progress.counted] == [(10, 10)]


def test_late_trades_of_an_earlier_generation_are_settled() -> None:
    symbol = Symbol()
    symbol.read(at(100, 0.5), at(101, 1.5), at(103, 3.5))
    symbol.read(at(50, 9.5))
    symbol.read(at(101, 1.5), at(102, 2.5))
    assert symbol.aggregator.counters.settled == 2
    assert symbol.aggregator.counters.counted == 4


def test_settled_ids_begin_again() -> None:
    symbol = Symbol(max_holes=1)
    symbol.read(at(100, 0.5), at(102, 1.5), at(104, 2.5), at(106, 3.5))
    symbol.beat(9)
    symbol.rows()
    assert symbol.aggregator.ledger.settled_id == 103
    symbol.read(at(7, 20.5))
    assert (symbol.aggregator.ledger.generation, symbol.aggregator.ledger.settled_id) == (1, -1)


def test_an_aggregate_of_counted_ids_at_a_far_time_begins_a_generation() -> None:
    symbol = Symbol()
    symbol.read(at(100, 0.5), at(101, 1.5), at(102, 2.5))
    symbol.read(at(102, 2.5, n=2))
    assert symbol.aggregator.counters.partial == 2
    symbol.read(at(102, 9.5, n=2))
    assert symbol.aggregator.ledger.generation == 1
    assert [(run.low, run.high) for run in symbol.aggregator.ledger.counted] == [(102, 103)]


def test_a_known_id_before_the_newest_trade_stays_a_duplicate() -> None:
    symbol = Symbol()
    symbol.read(at(100, 0.5), at(200, 9.5))
    symbol.read(at(100, 8.5))
    assert symbol.aggregator.ledger.generation == 0
    assert symbol.aggregator.counters.duplicate == 1


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_a_stray_id_ahead_of_the_flow_begins_no_generation_while_the_flow_continues_below_it(seed: int) -> None:
    rng = Random(seed)
    trades = sequence(rng, 1_000, EPOCH, 60)
    stray = trades[rng.randrange(10, 50)]
    kept = [trade for trade in trades if trade is trades[0] or rng.random() < 0.9]
    log = sorted([*kept, stray._replace(id=stray.id + rng.choice((500, 10**5, 10**9)))], key=lambda trade: trade.time)
    aggregator = Aggregator(Progress(), grace_us=GRACE_US, max_id_jump=10**6, max_holes=1_000)
    for offset, trade in enumerate(log):
        aggregator.apply(Trades.of([trade], PRICE_SCALE, QUANTITY_SCALE), offset, FAR)
    assert aggregator.ledger.generation == 0
    assert aggregator.counters.counted == len(log)


def test_verdicts_are_limited_to_windows_that_are_not_judged_anew() -> None:
    verdicts = [Verdict(1, 9, None, 5, 6), Verdict(10, 12, "hole", 0, -1)]
    left = outside(verdicts, [(0, 1), (3, 4), (9, 10), (20, 30)])
    assert [(it.first, it.last, it.reason) for it in left] == [(2, 2, None), (5, 8, None), (11, 12, "hole")]
