"""A batch applies the same as its messages one by one, and rejects only the records that cannot be true."""

import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marketstream.codec import Heartbeat, Quiet, Record, TradesRecord, encode
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_US
from marketstream.postgres.writer import SymbolKey
from marketstream.processor import metrics, symbol
from marketstream.processor.batch import Batch
from marketstream.processor.symbol import OwnedSymbol

from tests.harness.amounts import rescaled
from tests.harness.model import MemoryStore
from tests.harness.samples import sample
from tests.harness.scenarios import EPOCH, PRICE_SCALE, QUANTITY_SCALE
from tests.unit.histories import fields, history, split, stored
from tests.unit.processor.owners import KEY, Message, apply, at, counted, heartbeat, owner, record, us

GREATEST = 2**63 - 1


def rejections() -> float:
    return sample(metrics.SET_ASIDE, **KEY._asdict())


def in_ns(trade: Trade) -> Trade:
    return trade._replace(time=trade.time * 1_000)


IMPOSSIBLE = {
    "trades in ns": record(in_ns(at(2, 0.6))),
    "trades in ns, of which the first goes on": encode(
        TradesRecord(
            *KEY, us(1) * 1_000, Trades.of([at(2, 0.6), in_ns(at(3, 0.7))], PRICE_SCALE, QUANTITY_SCALE)
        )
    ),
    "a heartbeat in ns": encode(Heartbeat(*KEY, us(1) * 1_000, us(1) * 1_000, -1)),
    "a quiet market in ns": encode(Quiet(*KEY, us(1) * 1_000, 1, us(1) * 1_000)),
}  # fmt: skip


def seen(owned: OwnedSymbol) -> tuple[Any, ...]:
    """Return the observable state of a symbol before anything is stored."""
    newest = owned.aggregator.newest()
    return (
        owned.position,
        owned.aggregator.counters.as_dict(),
        owned.aggregator.heard_us,
        fields(newest) if newest else None,
        list(owned.ledger.holes()),
    )


def disturbed(rng: random.Random, trades: list[Trade]) -> list[Record]:
    """Return a log with lost, repeated, late and impossible records, other scales and heartbeats among the trades."""
    log: list[Record] = []
    records = split(rng, trades, rng.choice(((1,), (1, 2), (1, 10, 50))))
    likely = rng.choice((0.0, 0.02, 0.2))
    for position, columns in enumerate(records):
        received_us = columns.times[-1] + rng.randrange(100_000)
        event = rng.choice(("lost", "repeated", "heartbeat", "early", "changed")) if rng.random() < likely else ""
        if event == "repeated":
            log.append(TradesRecord(*KEY, received_us, records[rng.randrange(position + 1)]))
        if event == "heartbeat":
            log.append(Heartbeat(*KEY, received_us, columns.times[0], columns.first_id - 1))
        if event == "early":
            received_us -= 7200 * 1_000_000
        if event != "lost":
            log.append(TradesRecord(*KEY, received_us, changed(rng, columns) if event == "changed" else columns))
    end_us = trades[-1].time + 3 * WINDOW_US
    return [*log, Heartbeat(*KEY, end_us, end_us, trades[-1].id)]


def changed(rng: random.Random, record: Trades) -> Trades:
    """Return the record at other scales, with an impossible price, backwards, or with a column too long."""
    prices, times, taker_buys = record.prices, record.times, record.taker_buys
    match rng.randrange(4):
        case 0:
            return rescaled(record, PRICE_SCALE + rng.randrange(2), QUANTITY_SCALE + rng.randrange(2))
        case 1:
            prices = [*prices[:-1], -prices[-1]]
        case 2:
            times = times[::-1]
        case _:
            taker_buys += b"\0"
    return Trades(PRICE_SCALE, QUANTITY_SCALE, record.first_id, times, prices, record.quantities, taker_buys)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 1000))
def test_messages_applied_together_give_what_each_alone_gives(seed: int, size: int) -> None:
    rng = random.Random(seed)
    log = disturbed(rng, history(rng, size))
    messages = [Message(offset, encode(record)) for offset, record in enumerate(log)]
    together, singly = owner(), owner()
    stores = MemoryStore(), MemoryStore()
    while messages:
        size = rng.choice((1, 10, 1000))
        part, messages = messages[:size], messages[size:]
        Batch(together, part).apply()
        for message in part:
            Batch(singly, [message]).apply()
        assert seen(together) == seen(singly)
        if rng.random() < 0.3 or not messages:
            stores[0].apply(together.take().commit)
            stores[1].apply(singly.take().commit)
            assert stored(stores[0]) == stored(stores[1])


@pytest.mark.parametrize("bad", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_times_in_ns_are_rejected_although_the_receiver_s_clock_says_the_same(bad: bytes) -> None:
    owned = owner()
    apply(owned, record(at(1, 0.5)))
    heard_us, before = owned.aggregator.heard_us, rejections()
    apply(owned, bad)
    assert rejections() == before + 1
    assert (counted(owned), owned.aggregator.heard_us, owned.position) == ([(1, 1)], heard_us, 2)
    apply(owned, record(at(2, 0.6)), heartbeat(3))
    assert counted(owned) == [(1, 2)]
    assert [closed.candle.trade_count for closed in owned.take().commit.candles] == [2]


def test_the_greatest_received_us_with_honest_times_is_harmless() -> None:
    owned = owner()
    before = rejections()
    apply(
        owned,
        record(at(1, 0.5), received_us=GREATEST),
        record(at(2, 0.6)),
        record(at(3, 1.6), received_us=GREATEST),
        encode(Heartbeat(*KEY, GREATEST, us(2.5), -1)),
        encode(Quiet(*KEY, GREATEST, 3, us(2.5))),
    )
    assert rejections() == before
    assert (counted(owned), owned.aggregator.heard_us) == ([(1, 3)], us(2.5))
    apply(owned, record(at(4, 2.6)), heartbeat(9))
    assert counted(owned) == [(1, 4)]


HOUR_US = 3600 * 1_000_000


def windows_from(now_us: int) -> float:
    """Return a time as a number of windows since EPOCH."""
    return (now_us - EPOCH) / WINDOW_US


@pytest.mark.parametrize("ahead_us", [4 * HOUR_US, 365 * 24 * HOUR_US], ids=["hours", "a year"])
@pytest.mark.parametrize("kind", ["trade", "heartbeat", "quiet"])
def test_a_record_from_far_ahead_closes_no_window_although_it_was_received_then(kind: str, ahead_us: int) -> None:
    owned, before, now_us = owner(), rejections(), time.time_ns() // 1_000
    apply(owned, record(at(1, windows_from(now_us - 3 * WINDOW_US))))
    closed_until, then_us = owned.ledger.closed_until, now_us + ahead_us
    ahead = {
        "trade": record(at(2, windows_from(then_us))),
        "heartbeat": encode(Heartbeat(*KEY, then_us, then_us, -1)),
        "quiet": encode(Quiet(*KEY, then_us, 1, then_us)),
    }
    apply(owned, ahead[kind])
    assert rejections() == before + 1
    assert (counted(owned), owned.ledger.closed_until) == ([(1, 1)], closed_until)
    apply(owned, record(at(3, windows_from(now_us))))
    assert list(owned.ledger.holes()) == ([(2, 2)]), "it can be fetched"


class Behind:
    """Stands for the module `time` of a host whose clock is behind the exchange's."""

    by_us = 0
    monotonic = staticmethod(time.monotonic)

    @classmethod
    def time_ns(cls) -> int:
        return (EPOCH - cls.by_us) * 1_000


@pytest.mark.parametrize(("hours", "taken"), [(2, True), (5, False)])
def test_trades_are_taken_while_the_local_clock_is_two_hours_behind_and_else_become_a_hole(
    hours: int, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned = owner()
    apply(owned, record(at(1, 0.1)))
    monkeypatch.setattr(Behind, "by_us", hours * HOUR_US)
    monkeypatch.setattr(symbol, "time", Behind)
    apply(owned, record(at(2, 1.2)), heartbeat(1.5))
    assert counted(owned) == ([(1, 2)] if taken else [(1, 1)])
    monkeypatch.setattr(Behind, "by_us", 0)
    apply(owned, record(at(3, 1.6)))
    assert bool(owned.ledger.holes()) != taken
    apply(owned, record(at(2, 1.2)))
    assert counted(owned) == [(1, 3)]


def test_an_old_recording_is_held_to_the_clock_of_its_receiver() -> None:
    owned, before = owner(), rejections()
    apply(owned, record(at(1, 0.5)), record(at(2, 0.5 + 2 * 360), received_us=us(0.5)))
    assert rejections() == before + 1
    assert counted(owned) == [(1, 1)]


def test_records_of_another_symbol_and_what_is_no_record_are_rejected() -> None:
    owned = owner()
    before = rejections()
    apply(owned, b"", b"\x93garbage", record(at(1, 0.5), key=SymbolKey("simulator", "ETHUSDT")), record(at(1, 0.5)))
    assert rejections() == before + 3
    assert (counted(owned), owned.position) == ([(1, 1)], 4)


def test_an_empty_batch_moves_nothing() -> None:
    owned = owner()
    Batch(owned, []).apply()
    assert owned.position == 0
