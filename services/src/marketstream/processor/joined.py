"""Join records that continue each other, so that the cost of a record is paid once for many records.

The division of trades into records has no meaning: counting joined records gives the same result as counting each.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from msgspec.structs import replace

from marketstream.codec import Record, TradesRecord
from marketstream.market.window import WINDOW_US, window_of

ENOUGH: Final = 300
"""Number of trades at which joining stops.

More would save little of the cost per record, and the memory would no longer fit the CPU's cache.
"""


class Joined(NamedTuple):
    """The records at the offsets `offset` to `end` (exclusive), joined into one record."""

    offset: int
    end: int
    record: Record


def joined(records: Iterable[tuple[int, Record]]) -> Iterator[Joined]:
    """Yield the records, which come with their offsets, in the same order and joined where possible.

    A record is joined to the ones before it if both are plain columns at the same scales, if it continues them in
    offset, id and time, and if it ends in the window in which they begin. Do not use a record after another was joined
    to it: its columns grow in place.
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
            # No record continues one that is not plain.
            is_plain = trades.ids is None and trades.counts is None and size > 0
            end_us = (window_of(times[0]) + 1) * WINDOW_US if is_plain else 0
        end = offset + 1
        next_id += size
        last_time = times[-1] if times else 0
    if first is not None:
        yield Joined(start, end, _join(first, taker_buys, received_us))


def _join(first: TradesRecord, taker_buys: list[bytes], received_us: int) -> TradesRecord:
    """Return `first`, whose lists have grown by those of the records joined to it, with the other fields updated."""
    if len(taker_buys) == 1:
        return first
    trades = replace(first.trades, taker_buys=b"".join(taker_buys))
    return replace(first, received_us=received_us, trades=trades)
