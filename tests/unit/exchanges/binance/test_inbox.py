from marketstream.exchanges.binance.inbox import Inbox
from marketstream.exchanges.binance.messages import TradeEvent, decode
from marketstream.exchanges.binance.scales import Scale, Scales
from marketstream.exchanges.refusals import Refusals

from tests.unit.exchanges.binance.frames import NOW_US, trade_frame


class Wakes:
    count = 0

    def __call__(self) -> None:
        self.count += 1


def inbox(refuse: Refusals | None = None, wake: Wakes | None = None, most_trades: int = 100) -> Inbox:
    scales = {"BTCUSDT": Scales(Scale(2), Scale(5)), "ETHUSDT": Scales(Scale(2), Scale(4))}
    return Inbox(scales, refuse or Refusals(), wake or Wakes(), most_trades)


def event(**changes: object) -> TradeEvent:
    decoded = decode(trade_frame(**changes), NOW_US + 1000)
    assert isinstance(decoded, TradeEvent)
    return decoded


def test_trades_are_returned_by_symbol_in_order() -> None:
    wake = Wakes()
    box = inbox(wake=wake)
    for trade in (event(t=1), event(s="ETHUSDT", t=9, q="2.50000000", m=False), event(t=2, E=NOW_US + 950)):
        box.add(trade)
    btc, eth = box.take()
    assert (btc.symbol, btc.trades.first_id, btc.trades.ids, len(btc.trades)) == ("BTCUSDT", 1, None, 2)
    assert (btc.trades.price_scale, btc.trades.prices, btc.event_us) == (2, [3943248] * 2, NOW_US + 950)
    assert (btc.trades.taker_buys, eth.trades.taker_buys, eth.trades.quantities) == (b"\0\0", b"\1", [25000])
    assert (box.take(), box.clock_us, wake.count) == ([], NOW_US + 950, 1)


def test_a_hole_is_kept_in_the_ids() -> None:
    box = inbox()
    for number in (1, 2, 5):
        box.add(event(t=number))
    assert box.take()[0].trades.ids == [1, 2, 5]


def test_an_invalid_amount_is_refused_and_the_others_are_kept() -> None:
    refuse = Refusals()
    box = inbox(refuse)
    for number, price in ((1, "1.00000000"), (2, "1e9"), (3, "1.00100000")):
        box.add(event(t=number, p=price))
    heard = box.take()
    assert [(part.trades.first_id, part.trades.price_scale, part.trades.prices) for part in heard] == [
        (1, 2, [100]),
        (3, 3, [1001]),
    ]
    assert refuse.count == 1


def test_a_symbol_that_was_not_subscribed_is_refused() -> None:
    refuse = Refusals()
    box = inbox(refuse)
    box.add(event(s="XRPUSDT"))
    assert (box.take(), refuse.count, box.clock_us) == ([], 1, 0)


def test_a_full_inbox_drops_the_newest_and_its_clock_does_not_pass_them() -> None:
    box = inbox(most_trades=2)
    for number in range(4):
        box.add(event(t=number, E=NOW_US + number))
    assert box.clock_us == NOW_US + 1
    assert [trade.id for heard in box.take() for trade in heard.trades] == [0, 1]
    box.add(event(t=9))
    assert [trade.id for heard in box.take() for trade in heard.trades] == [9]
