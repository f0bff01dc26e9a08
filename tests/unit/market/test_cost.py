"""The cost of an account with many holes: at most in proportion to them, and none for live state while none changes.

Only ratios are compared, each of the best of several measurements, so that a busy machine does not matter.
"""

import time
from collections.abc import Callable

from marketstream.market.aggregator import Aggregator
from marketstream.market.progress import Progress
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_US, window_of

from tests.harness.scenarios import EPOCH, GRACE_US, PRICE_SCALE, QUANTITY_SCALE, RECEIVED_US

FEW, MANY = 250, 1_000


def apply(aggregator: Aggregator, trade_id: int, window: float) -> None:
    trade = Trade(trade_id, 1, EPOCH + int(window * WINDOW_US), 100, 5, taker_buy=True)
    aggregator.apply(Trades.of([trade], PRICE_SCALE, QUANTITY_SCALE), trade_id, RECEIVED_US)


def with_holes(holes: int) -> Aggregator:
    """Return an aggregator that has read three ids in three windows and missed the next, as often as there are holes.

    Its next trade has the id 4 * holes + 4.
    """
    aggregator = Aggregator(Progress(), grace_us=GRACE_US, max_id_jump=10**6, max_holes=2 * MANY)
    for hole in range(holes + 1):
        for number in range(3):
            apply(aggregator, 4 * hole + 1 + number, 7 * hole + 2 * number + 0.5)
    return aggregator


def best_s(work: Callable[[Aggregator], object], holes: int) -> float:
    """Return the least CPU time of the work on fresh aggregators with so many holes."""
    times = []
    for _ in range(5):
        aggregator = with_holes(holes)
        started = time.process_time()
        work(aggregator)
        times.append(time.process_time() - started)
    return min(times)


def test_a_commit_costs_at_most_in_proportion_to_the_holes() -> None:
    def take(aggregator: Aggregator) -> None:
        aggregator.heartbeat(EPOCH + 10 * MANY * WINDOW_US)
        assert len(aggregator.take(0).verdicts) > FEW

    assert best_s(take, MANY) <= 8 * best_s(take, FEW)


def test_the_live_state_of_a_symbol_that_trades_does_not_pay_for_its_holes() -> None:
    def follow(aggregator: Aggregator) -> None:
        ledger = aggregator.ledger
        first = ledger.counted.runs[-1].high + 1
        window = window_of(ledger.counted.runs[-1].high_time) - EPOCH // WINDOW_US + 1
        for number in range(3_000):
            apply(aggregator, first + number, window + number / 3_000)
            ledger.complete()
            ledger.newest_run()
            len(ledger.holes())
            ledger.reason(window_of(EPOCH) + window, first, first + number)

    assert best_s(follow, MANY) <= 4 * best_s(follow, 2)
