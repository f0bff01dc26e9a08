from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketstream.exchanges.base import ClockAdvanced, TradesReceived
from marketstream.market.trade import Trade, Trades
from marketstream.producer.pack import FAR_US, Packed, Packer

NOW_US = 1_790_000_000_000_000

Refused = list[tuple[str, int, str, str]]


def packer(most_trades: int = 500) -> tuple[Packer, Refused]:
    refused: Refused = []
    return Packer("binance", lambda *what: refused.append(what), most_trades), refused


def heard(
    first_id: int, size: int = 1, *, scale: int = 2, symbol: str = "BTCUSDT", event_us: int = NOW_US
) -> TradesReceived:
    trades = Trades(scale, 6, first_id, [event_us] * size, [100] * size, [1] * size, bytes(size))
    return TradesReceived(symbol, trades, event_us, NOW_US + 5)


def ids(packed: list[Packed]) -> list[list[int]]:
    return [list(record.trades.all_ids()) for part in packed for record in part.records]


def test_trades_packed_together_are_one_record() -> None:
    pack, refused = packer()
    for id_ in (7, 8, 9):
        pack.add(heard(id_))
    assert pack.size == 3
    (packed,) = pack.take()
    (record,) = packed.records
    assert (record.exchange, record.symbol, record.received_us) == ("binance", "BTCUSDT", NOW_US + 5)
    assert (record.trades.first_id, len(record.trades), record.trades.ids) == (7, 3, None)
    assert packed.clock_us == NOW_US
    assert pack.size == 0
    assert pack.take() == []
    assert not refused


def test_each_symbol_has_records_of_its_own() -> None:
    pack, _ = packer()
    for symbol in ("A1", "B2", "A1"):
        pack.add(heard(1, symbol=symbol))
    assert {part.symbol: sum(len(r.trades) for r in part.records) for part in pack.take()} == {"A1": 2, "B2": 1}


def test_a_change_of_scale_starts_a_new_record() -> None:
    pack, _ = packer()
    for id_, scale in ((1, 2), (2, 2), (3, 4), (4, 2)):
        pack.add(heard(id_, scale=scale))
    assert ids(pack.take()) == [[1, 2], [3], [4]]


@given(st.lists(st.integers(1, 30), min_size=1), st.integers(1, 20))
def test_a_record_holds_no_more_than_it_may_and_nothing_is_lost(sizes: list[int], most: int) -> None:
    pack, _ = packer(most)
    next_id = 0
    for size in sizes:
        pack.add(heard(next_id, size))
        next_id += size
    records = ids(pack.take())
    assert [id_ for record in records for id_ in record] == list(range(next_id))
    assert all(len(record) <= most for record in records)
    assert all(len(one) + len(other) > most or most < 30 for one, other in pairwise(records))


def test_the_clock_is_the_latest_received_and_never_goes_back() -> None:
    pack, _ = packer()
    pack.add(heard(1))
    pack.add(ClockAdvanced("BTCUSDT", NOW_US + 100))
    pack.add(ClockAdvanced("BTCUSDT", NOW_US + 50))
    assert pack.take()[0].clock_us == NOW_US + 100
    pack.add(ClockAdvanced("BTCUSDT", NOW_US + 60))
    assert pack.take() == [Packed("BTCUSDT", [], NOW_US + 100)]


def test_aggregates_and_gaps_keep_their_ids() -> None:
    pack, _ = packer()
    trades = [Trade(5, 3, NOW_US, 1, 1, taker_buy=True), Trade(9, 1, NOW_US, 1, 1, taker_buy=False)]
    pack.add(TradesReceived("BTCUSDT", Trades.of(trades, 2, 6), NOW_US, NOW_US))
    pack.add(heard(20))
    (packed,) = pack.take()
    assert [(t.id, t.n) for t in packed.records[0].trades] == [(5, 3), (9, 1), (20, 1)]


@pytest.mark.parametrize(
    "trades",
    [
        Trades(2, 6, 1, [NOW_US], [0], [1], b"\0"),
        Trades(2, 6, 1, [NOW_US // 1000], [1], [1], b"\0"),
        Trades(2, 6, 1, [NOW_US * 1000], [1], [1], b"\0"),
        Trades(2, 6, 1, [NOW_US - FAR_US - 1], [1], [1], b"\0"),
        Trades(2, 6, 1, [NOW_US, NOW_US], [1], [1], b"\0"),
    ],
    ids=["price", "milliseconds", "nanoseconds", "far from its message", "lengths"],
)
def test_what_cannot_be_a_trade_is_refused_and_moves_no_clock(trades: Trades) -> None:
    pack, refused = packer()
    pack.add(TradesReceived("BTCUSDT", trades, NOW_US, NOW_US))
    assert pack.take() == [Packed("BTCUSDT", [], None)]
    assert [(reason, count, symbol) for reason, count, symbol, _ in refused] == [("trade", len(trades), "BTCUSDT")]


def test_one_bad_trade_does_not_take_its_neighbours_along() -> None:
    pack, refused = packer()
    trades = Trades(2, 6, 1, [NOW_US, NOW_US * 1000, NOW_US], [1, 1, 1], [1, 1, 1], bytes(3))
    pack.add(TradesReceived("BTCUSDT", trades, NOW_US, NOW_US))
    assert ids(pack.take()) == [[1, 3]]
    assert len(refused) == 1
