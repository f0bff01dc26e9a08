"""Fetching the trades of a hole at the lower cost.

Single trades cost weight 25 for up to 1,000 trades, and are queried by id. Aggregates cost weight 4 for up to 1,000
aggregates of one or more trades each, but are queried by time. An aggregate across an edge of the hole is unusable: its
trades inside the hole are fetched as single trades. Otherwise an aggregate stands for all its trades: price, total
quantity, time and taker side are the same to the digit.
"""

from collections.abc import Sequence
from typing import Final

from marketstream.exchanges.binance.endpoints import (
    AGGREGATES_WEIGHT,
    PAGE,
    TRADES_WEIGHT,
    Aggregate,
    RestTrade,
    aggregates_between,
    aggregates_from,
    microseconds,
    trades_from,
)
from marketstream.exchanges.binance.rest import Rest
from marketstream.exchanges.binance.scales import Scales
from marketstream.exchanges.errors import HistoryUnavailableError
from marketstream.market.errors import NumberError
from marketstream.market.trade import Trade, Trades

_PAGES_TO_FIND: Final = 3
"""Pages of aggregates to search for the beginning of a hole before falling back to single trades."""


def aggregates_are_cheaper(size: int) -> bool:
    """Return True if aggregates probably cost less weight for a hole of `size` trades.

    The estimate assumes one trade per aggregate, and that one edge of the hole lies within an aggregate.
    """
    pages = -(-size // PAGE)
    return pages * AGGREGATES_WEIGHT + TRADES_WEIGHT < pages * TRADES_WEIGHT


async def page_of_hole(
    rest: Rest,
    symbol: str,
    scales: Scales,
    first_id: int,
    last_id: int,
    after_us: int | None,
    before_us: int | None,
) -> Trades | None:
    """Return a page of the trades `first_id` to `last_id`, in order, or None if the history has none of them.

    `after_us` and `before_us` are the times (Unix µs) of the trades around the hole, without which aggregates cannot be
    queried. Raises HistoryUnavailableError if the history is behind or invalid.
    """
    found: list[Trade] = []
    if after_us is not None and before_us is not None and aggregates_are_cheaper(last_id - first_id + 1):
        found = await _by_aggregates(rest, symbol, scales, first_id, last_id, after_us, before_us)
    if not found:
        found = await _by_trades(rest, symbol, scales, first_id, last_id)
    return Trades.of(found, *scales.places) if found else None


async def _by_trades(rest: Rest, symbol: str, scales: Scales, first_id: int, last_id: int) -> list[Trade]:
    limit = min(PAGE, last_id - first_id + 1)
    answer = await trades_from(rest, symbol, first_id, limit)
    if not answer:
        # No trade at all from there on, although later trades were received: the history is behind.
        raise HistoryUnavailableError(f"the history of {symbol} has not reached trade {first_id} yet")
    return _trades([trade for trade in answer if first_id <= trade.id <= last_id], scales)


async def _by_aggregates(
    rest: Rest, symbol: str, scales: Scales, first_id: int, last_id: int, after_us: int, before_us: int
) -> list[Trade]:
    """Return the trades from `first_id` on, or none if the aggregates do not lead to `first_id`."""
    page = await aggregates_between(rest, symbol, after_us, before_us)
    for _ in range(_PAGES_TO_FIND):
        useful = [aggregate for aggregate in page if aggregate.last_id >= first_id]
        if useful:
            break
        if len(page) < PAGE:
            return []
        page = await aggregates_from(rest, symbol, page[-1].id + 1)
    else:
        return []
    edge: list[Trade] = []
    if useful[0].first_id < first_id:
        across = useful.pop(0)
        edge = await _by_trades(rest, symbol, scales, first_id, min(across.last_id, last_id))
    inside = _aggregates([aggregate for aggregate in useful if aggregate.last_id <= last_id], scales)
    begin = edge or inside
    return edge + inside if begin and begin[0].id == first_id else []


def _trades(trades: Sequence[RestTrade], scales: Scales) -> list[Trade]:
    try:
        prices = scales.price.read_all([trade.price for trade in trades])
        quantities = scales.quantity.read_all([trade.quantity for trade in trades])
    except NumberError as error:
        raise HistoryUnavailableError(f"Binance sent an invalid history: {error}") from error
    return [
        Trade(trade.id, 1, microseconds(trade.time), price, quantity, not trade.buyer_is_maker)
        for trade, price, quantity in zip(trades, prices, quantities, strict=True)
    ]


def _aggregates(aggregates: Sequence[Aggregate], scales: Scales) -> list[Trade]:
    try:
        prices = scales.price.read_all([aggregate.price for aggregate in aggregates])
        quantities = scales.quantity.read_all([aggregate.quantity for aggregate in aggregates])
    except NumberError as error:
        raise HistoryUnavailableError(f"Binance sent an invalid history: {error}") from error
    return [
        Trade(
            aggregate.first_id, aggregate.last_id - aggregate.first_id + 1, microseconds(aggregate.time),
            price, quantity, not aggregate.buyer_is_maker,
        )
        for aggregate, price, quantity in zip(aggregates, prices, quantities, strict=True)
    ]  # fmt: skip
