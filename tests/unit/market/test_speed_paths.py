"""The fast way and the general way of counting trades are the same to the digit."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from marketstream.codec import Heartbeat, Record, TradesRecord, encode
from marketstream.kafka.consumer import Offsets
from marketstream.market.aggregator import Aggregator
from marketstream.market.candle import Candle
from marketstream.market.progress import Progress
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_US
from marketstream.postgres.writer import Claim, SymbolKey
from marketstream.processor.joined import ENOUGH, joined
from marketstream.processor.symbol import OwnedSymbol
from marketstream.settings import Settings

from tests.harness.model import MemoryStore

EPOCH = 1_610_064_000_000_000
KEY = SymbolKey("binance", "BTCUSDT")
SCALES = PRICE_SCALE, QUANTITY_SCALE = 2, 6


@dataclass(frozen=True)
class Message:
    """What the consumer hands over, as far as the processor looks at it."""

    offset: int
    value: bytes


def history(rng: random.Random, size: int) -> list[Trade]:
    """Consecutive ids with times that follow them, a few windows long."""
    time, trades = EPOCH + rng.randrange(WINDOW_US), []
    for trade_id in range(1_000, 1_000 + size):
        time += rng.choice((0, 1, 50_000, 400_000, 2_000_000))
        trades.append(Trade(trade_id, 1, time, rng.randrange(1, 10**6), rng.randrange(10**7), rng.random() < 0.5))
    return trades


def split(rng: random.Random, trades: Sequence[Trade], sizes: Sequence[int]) -> list[Trades]:
    """The trades as records of random sizes."""
    records, start = [], 0
    while start < len(trades):
        end = start + rng.choice(sizes)
        records.append(Trades.of(trades[start:end], PRICE_SCALE, QUANTITY_SCALE))
        start = end
    return records


def aggregator(grace_us: int) -> Aggregator:
    return Aggregator(Progress(), grace_us=grace_us, max_id_jump=10**6, max_holes=10**6)


def owner() -> OwnedSymbol:
    return OwnedSymbol(KEY, "trades.binance.btcusdt", Claim(1, 0, Progress()), None, Offsets(0, 0), Settings())


def fields(candle: Candle) -> dict[str, Any]:
    return {name: getattr(candle, name) for name in candle.__slots__}


def seen(owned: OwnedSymbol) -> tuple[Any, ...]:
    """What can be seen of a symbol before anything is stored."""
    newest = owned.aggregator.newest()
    return (
        owned.position,
        owned.aggregator.counters.as_dict(),
        owned.aggregator.heard_us,
        fields(newest) if newest else None,
        list(owned.ledger.holes()),
    )


def stored(store: MemoryStore) -> tuple[Any, ...]:
    """Everything in a store of commits."""
    progress = store.progress
    counted = [(run.low, run.high, run.low_time, run.high_time) for run in progress.counted]
    candles = {window: fields(candle) for window, candle in store.candles.items()}
    return candles, store.reasons, store.empty, counted, progress.closed_until, progress.position, progress.settled_id


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 300))
def test_records_in_order_give_what_each_trade_alone_gives_in_any_order(seed: int, size: int) -> None:
    """The one goes the fast ways, the other the general one, with windows open for as long as that takes."""
    rng = random.Random(seed)
    trades = history(rng, size)
    end_us, grace_us = trades[-1].time + 2 * WINDOW_US, trades[-1].time - EPOCH + WINDOW_US
    fast, general = aggregator(grace_us), aggregator(grace_us)
    for offset, record in enumerate(split(rng, trades, (1, 2, 10, 50))):
        fast.apply(record, offset, end_us)
    rng.shuffle(trades)
    for offset, trade in enumerate(trades):
        general.apply(Trades.of([trade], PRICE_SCALE, QUANTITY_SCALE), offset, end_us)
    for one in (fast, general):
        one.heartbeat(end_us + grace_us)
    assert fast.counters.counted == general.counters.counted == size
    stores = MemoryStore(), MemoryStore()
    for store, one in zip(stores, (fast, general), strict=True):
        store.apply(one.take(size))
    assert stored(stores[0]) == stored(stores[1])
    assert fast.ledger.closed_until == (end_us // WINDOW_US)


def disturbed(rng: random.Random, trades: list[Trade]) -> list[Record]:
    """A log with what happens in life: lost, repeated, late and impossible records, other scales, heartbeats."""
    log: list[Record] = []
    records = split(rng, trades, rng.choice(((1,), (1, 2), (1, 10, 50))))
    likely = rng.choice((0.0, 0.02, 0.2))
    for position, record in enumerate(records):
        received_us = record.times[-1] + rng.randrange(100_000)
        event = rng.choice(("lost", "repeated", "heartbeat", "early", "changed")) if rng.random() < likely else ""
        if event == "repeated":
            log.append(TradesRecord(*KEY, received_us, records[rng.randrange(position + 1)]))
        if event == "heartbeat":
            log.append(Heartbeat(*KEY, received_us, record.times[0], record.first_id - 1))
        if event == "early":
            received_us -= 7200 * 1_000_000
        if event != "lost":
            log.append(TradesRecord(*KEY, received_us, changed(rng, record) if event == "changed" else record))
    end_us = trades[-1].time + 3 * WINDOW_US
    return [*log, Heartbeat(*KEY, end_us, end_us, trades[-1].id)]


def changed(rng: random.Random, record: Trades) -> Trades:
    """The record at other scales, with a price that cannot be, backwards, or with a column too long."""
    prices, times, taker_buys = record.prices, record.times, record.taker_buys
    match rng.randrange(4):
        case 0:
            return record.rescaled(PRICE_SCALE + rng.randrange(2), QUANTITY_SCALE + rng.randrange(2))
        case 1:
            prices = [*prices[:-1], -prices[-1]]
        case 2:
            times = times[::-1]
        case _:
            taker_buys += b"\0"
    return Trades(*SCALES, record.first_id, times, prices, record.quantities, taker_buys)


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
        together.apply(part)
        for message in part:
            singly.apply([message])
        assert seen(together) == seen(singly)
        if rng.random() < 0.3 or not messages:
            stores[0].apply(together.take().commit)
            stores[1].apply(singly.take().commit)
            assert stored(stores[0]) == stored(stores[1])


def test_what_goes_on_is_joined_and_a_new_window_is_not() -> None:
    trades = [Trade(number, 1, EPOCH + number * 1_000_000, 5, 7, taker_buy=number % 2 == 0) for number in range(25)]
    records = [(trade.id, TradesRecord(*KEY, EPOCH, Trades.of([trade], *SCALES))) for trade in trades]
    stretches = list(joined(records))
    assert [(offset, end) for offset, end, _ in stretches] == [(0, 10), (10, 20), (20, 25)]
    assert [list(record.trades) for _, _, record in stretches if isinstance(record, TradesRecord)] == [
        trades[:10], trades[10:20], trades[20:],
    ]  # fmt: skip


def test_not_more_is_joined_than_pays() -> None:
    trades = [Trade(number, 1, EPOCH + number, 5, 7, taker_buy=True) for number in range(2 * ENOUGH)]
    records = [(trade.id, TradesRecord(*KEY, EPOCH, Trades.of([trade], *SCALES))) for trade in trades]
    assert [(offset, end) for offset, end, _ in joined(records)] == [(0, ENOUGH), (ENOUGH, 2 * ENOUGH)]
