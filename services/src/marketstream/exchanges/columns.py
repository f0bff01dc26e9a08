"""Cutting and joining columns of trades, at C speed where the ids follow each other."""

from collections.abc import Sequence
from itertools import chain

from marketstream.market.trade import Trades


def cut(trades: Trades, start: int, stop: int) -> Trades:
    """The entries from index `start` to before `stop`, of which there must be at least one."""
    if start == 0 and stop >= len(trades):
        return trades
    ids = trades.all_ids()
    return Trades(
        trades.price_scale, trades.quantity_scale, ids[start],
        trades.times[start:stop], trades.prices[start:stop], trades.quantities[start:stop],
        trades.taker_buys[start:stop],
        None if trades.ids is None else trades.ids[start:stop],
        None if trades.counts is None else trades.counts[start:stop],
    )  # fmt: skip


def joined(parts: Sequence[Trades]) -> Trades:
    """All entries of `parts`, at least one part, all at the same scales, in their order."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if any(part.counts is not None for part in parts):
        return Trades.of(list(chain.from_iterable(parts)), first.price_scale, first.quantity_scale)
    return Trades(
        first.price_scale, first.quantity_scale, first.first_id,
        list(chain.from_iterable(part.times for part in parts)),
        list(chain.from_iterable(part.prices for part in parts)),
        list(chain.from_iterable(part.quantities for part in parts)),
        b"".join([part.taker_buys for part in parts]),
        _joined_ids(parts),
    )  # fmt: skip


def _joined_ids(parts: Sequence[Trades]) -> list[int] | None:
    expected = parts[0].first_id
    for part in parts:
        if part.ids is not None or part.first_id != expected:
            return list(chain.from_iterable(part.all_ids() for part in parts))
        expected += len(part)
    return None
