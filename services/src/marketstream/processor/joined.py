"""Joins records that go on from each other, so that what a record costs is paid once for many of them.

How trades are divided into records means nothing: to count them together and one record after the other is the same.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from msgspec.structs import replace

from marketstream.codec import Record, TradesRecord
from marketstream.market.window import WINDOW_US, window_of

ENOUGH: Final = 300
"""Trades after which nothing is joined any more: the cost of a record is spread then, and what is decoded next finds
room where the last was, in the processor's cache."""


class Joined(NamedTuple):
    """The records at `offset` to `end` (exclusive), as one."""

    offset: int
    end: int
    record: Record


def joined(records: Iterable[tuple[int, Record]]) -> Iterator[Joined]:
    """The records, each given with its offset, in their order and with as much joined as can be.

    A record is joined with the one before it when both are plain columns at the same scales, it goes on from it in
    offset, id and time, and all of it lies in the window in which the other began.
    """
    first: TradesRecord | None = None
    times: list[int] = []
    prices: list[int] = []
    quantities: list[int] = []
    taker_buys: list[bytes] = []
    start = end = next_id = last_time = end_us = received_us = price_scale = quantity_scale = 0
    for offset, record in records:
        if type(record) is not TradesRecord:
            if first is not None:
                yield Joined(start, end, _join(first, taker_buys, received_us))
                first = None
            yield Joined(offset, offset + 1, record)
            continue
        trades = record.trades
        more_times = trades.times
        size = len(more_times)
        if (
            first is not None
            and trades.first_id == next_id
            and offset == end
            and trades.ids is None
            and trades.counts is None
            and trades.price_scale == price_scale
            and trades.quantity_scale == quantity_scale
            and len(trades.prices) == len(trades.quantities) == len(trades.taker_buys) == size > 0
            and last_time <= more_times[0]
            and more_times[-1] < end_us
            and len(times) < ENOUGH
        ):
            times += more_times
            prices += trades.prices
            quantities += trades.quantities
            taker_buys.append(trades.taker_buys)
            if record.received_us < received_us:
                received_us = record.received_us
        else:
            if first is not None:
                yield Joined(start, end, _join(first, taker_buys, received_us))
            first, start, received_us = record, offset, record.received_us
            times, prices, quantities, taker_buys = more_times, trades.prices, trades.quantities, [trades.taker_buys]
            next_id, price_scale, quantity_scale = trades.first_id, trades.price_scale, trades.quantity_scale
            # Nothing goes on from what is not plain.
            is_plain = trades.ids is None and trades.counts is None and size > 0
            end_us = (window_of(times[0]) + 1) * WINDOW_US if is_plain else 0
        end = offset + 1
        next_id += size
        last_time = times[-1] if times else 0
    if first is not None:
        yield Joined(start, end, _join(first, taker_buys, received_us))


def _join(first: TradesRecord, taker_buys: list[bytes], received_us: int) -> TradesRecord:
    """The record whose lists have grown by those of the records joined to it."""
    if len(taker_buys) == 1:
        return first
    trades = replace(first.trades, taker_buys=b"".join(taker_buys))
    return replace(first, received_us=received_us, trades=trades)
