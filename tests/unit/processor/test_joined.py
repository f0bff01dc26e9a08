"""Records that continue each other are joined."""

from marketstream.codec import TradesRecord
from marketstream.market.trade import Trade, Trades
from marketstream.processor.joined import ENOUGH, joined

from tests.harness.scenarios import EPOCH, PRICE_SCALE, QUANTITY_SCALE
from tests.unit.processor.owners import KEY

SCALES = PRICE_SCALE, QUANTITY_SCALE


def test_records_are_joined_within_a_window_but_not_across_windows() -> None:
    trades = [Trade(number, 1, EPOCH + number * 1_000_000, 5, 7, taker_buy=number % 2 == 0) for number in range(25)]
    records = [(trade.id, TradesRecord(*KEY, EPOCH, Trades.of([trade], *SCALES))) for trade in trades]
    stretches = list(joined(records))
    assert [(offset, end) for offset, end, _ in stretches] == [(0, 10), (10, 20), (20, 25)]
    assert [list(record.trades) for _, _, record in stretches if isinstance(record, TradesRecord)] == [
        trades[:10], trades[10:20], trades[20:],
    ]  # fmt: skip


def test_no_more_records_are_joined_than_pays() -> None:
    trades = [Trade(number, 1, EPOCH + number, 5, 7, taker_buy=True) for number in range(2 * ENOUGH)]
    records = [(trade.id, TradesRecord(*KEY, EPOCH, Trades.of([trade], *SCALES))) for trade in trades]
    assert [(offset, end) for offset, end, _ in joined(records)] == [(0, ENOUGH), (ENOUGH, 2 * ENOUGH)]
