"""Messages that are joined, so that they are decoded and counted together, give what each of them alone gives."""

import random
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from marketstream.codec import Heartbeat, Record, TradesRecord, encode
from marketstream.kafka.consumer import Offsets
from marketstream.market.progress import Progress
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_US
from marketstream.postgres.writer import Claim, SymbolKey
from marketstream.processor.batch import Batch
from marketstream.processor.joined import ENOUGH, joined
from marketstream.processor.symbol import OwnedSymbol
from marketstream.settings import Settings

from tests.harness.amounts import rescaled
from tests.harness.model import MemoryStore
from tests.harness.scenarios import EPOCH, PRICE_SCALE, QUANTITY_SCALE
from tests.unit.histories import fields, history, split, stored

KEY = SymbolKey("binance", "BTCUSDT")
SCALES = PRICE_SCALE, QUANTITY_SCALE


@dataclass(frozen=True)
class Message:
    """What the consumer hands over, as far as the processor looks at it."""

    offset: int
    value: bytes


def owner() -> OwnedSymbol:
    return OwnedSymbol(KEY, "trades.binance.btcusdt", Claim(1, 0, Progress()), None, Offsets(0, 0), Settings())


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
            return rescaled(record, PRICE_SCALE + rng.randrange(2), QUANTITY_SCALE + rng.randrange(2))
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
        Batch(together, part).apply()
        for message in part:
            Batch(singly, [message]).apply()
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
