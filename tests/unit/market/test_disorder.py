"""Trades whose times do not follow their ids: in the end every row called complete is true, with its flat prices."""

from random import Random

import pytest
from marketstream.market.aggregator import Aggregator
from marketstream.market.progress import Progress
from marketstream.market.trade import Trades
from marketstream.market.window import WINDOW_US

from tests.harness.model import MemoryStore
from tests.harness.scenarios import GRACE_US, PRICE_SCALE, QUANTITY_SCALE, RECEIVED_US, disordered, false_rows


@pytest.mark.parametrize("jitter_us", [0, 1_000, 100_000, 1_000_000, 5_000_000, 20_000_000])
def test_no_complete_row_is_false_once_all_trades_have_arrived(jitter_us: int) -> None:
    for seed in range(100):
        trades, store = disordered(Random(f"{seed} {jitter_us}"), jitter_us), MemoryStore()
        aggregator = Aggregator(Progress(), grace_us=GRACE_US, max_id_jump=10**6, max_holes=1_000)
        for offset, trade in enumerate(trades):
            aggregator.apply(Trades.of([trade], PRICE_SCALE, QUANTITY_SCALE), offset, RECEIVED_US)
            store.apply(aggregator.take(offset + 1))
        aggregator.heartbeat(trades[-1].time + 10 * WINDOW_US)
        store.apply(aggregator.take(len(trades) + 1))
        assert false_rows(store.rows(), trades) == []
