"""Joins records that go on from each other, so that what a record costs is paid once for many of them.

To count trades that came in one record or in several is the same; only where records can be true alone but not
together, or the other way round, does it matter, and there the caller goes back to the records.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

from marketstream.market.trade import Trades
from marketstream.market.window import WINDOW_US, window_of


def joined(records: Sequence[Trades]) -> Iterator[tuple[int, Trades]]:
    """All trades of the records in their order, as columns that are as long as can be, each with the number of
    records in it.

    Joined are plain columns at the same scales, each going on from the one before it in id and time, all within one
    window.
    """
    start = next_id = last_time = end_us = price_scale = quantity_scale = 0
    for index, record in enumerate(records):
        times = record.times
        size = len(times)
        if (
            record.first_id != next_id
            or record.ids is not None
            or record.counts is not None
            or record.price_scale != price_scale
            or record.quantity_scale != quantity_scale
            or not len(record.prices) == len(record.quantities) == len(record.taker_buys) == size > 0
            or times[0] < last_time
            or times[-1] >= end_us
        ):
            if index > start:
                yield index - start, _join(records[start:index])
            start = index
            price_scale, quantity_scale = record.price_scale, record.quantity_scale
            # Nothing joins what is not plain.
            is_plain = size > 0 and record.ids is None and record.counts is None
            end_us = (window_of(times[0]) + 1) * WINDOW_US if is_plain else 0
            next_id = record.first_id
        next_id += size
        last_time = times[-1] if times else 0
    if records:
        yield len(records) - start, _join(records[start:])


def _join(records: Sequence[Trades]) -> Trades:
    first = records[0]
    if len(records) == 1:
        return first
    return Trades(
        first.price_scale, first.quantity_scale, first.first_id,
        list(chain.from_iterable([record.times for record in records])),
        list(chain.from_iterable([record.prices for record in records])),
        list(chain.from_iterable([record.quantities for record in records])),
        b"".join([record.taker_buys for record in records]),
    )  # fmt: skip
