"""What a review of the core has found, and must not come back."""

from collections.abc import Callable
from typing import Any

import pytest
from marketstream.market.aggregator import Aggregator
from marketstream.market.candle import Candle
from marketstream.market.progress import Progress
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_US

from tests.harness.model import MemoryStore
from tests.harness.scenarios import EPOCH, FAR, GRACE_US

SIZE = 10


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often trades were counted one by one, and how often as columns."""
    counts = {"add": 0, "extend": 0}

    def counting(name: str, method: Callable[..., None]) -> Callable[..., None]:
        def called(*arguments: Any) -> None:
            counts[name] += 1
            method(*arguments)

        return called

    for name in counts:
        monkeypatch.setattr(Candle, name, counting(name, getattr(Candle, name)))
    return counts


def columns(first_id: int, window: float, price_scale: int, quantity_scale: int) -> Trades:
    """SIZE trades that follow each other within a tenth of a window."""
    times = [EPOCH + int((window + number / SIZE / 10) * WINDOW_US) for number in range(SIZE)]
    trades = [Trade(first_id + number, 1, time, 100, 5, taker_buy=True) for number, time in enumerate(times)]
    return Trades.of(trades, 2, 6).rescaled(price_scale, quantity_scale)


@pytest.mark.parametrize(("before", "after"), [((2, 6), (3, 6)), ((3, 6), (2, 6)), ((2, 7), (3, 6)), ((3, 6), (2, 7))])
def test_after_a_change_of_scale_the_next_window_is_counted_as_columns_again(
    calls: dict[str, int], before: tuple[int, int], after: tuple[int, int]
) -> None:
    aggregator, store = Aggregator(Progress(), grace_us=GRACE_US, max_id_jump=10**6, max_holes=10), MemoryStore()
    log = [columns(0, 0.1, *before), *(columns(SIZE * n, 0.1 + n / 10, *after) for n in (1, 2, 3))]
    for offset, record in enumerate(log):
        aggregator.apply(record, offset, FAR)
    calls.update(add=0, extend=0)
    for n in range(4, 10):
        aggregator.apply(columns(SIZE * n, 1 + (n - 4) * 0.6, *after), n, FAR)
    assert calls == {"add": 0, "extend": 6}
    aggregator.heartbeat(FAR)
    store.apply(aggregator.take(10))
    assert sum(candle.trade_count for candle in store.candles.values()) == 10 * SIZE
    rows = list(store.rows().values())
    assert {str(row.open.normalize()) for row in rows} == {"1"}
    assert sum(row.volume for row in rows) == rows[0].volume / rows[0].trade_count * 10 * SIZE
