"""Fetch the trades of a hole in the cheaper of two ways.

Single trades cost weight 25 for up to 1,000 trades, and are queried by id. Aggregates cost weight 4 for up to 1,000
aggregates of one or more trades each, but are queried by time. An aggregate across an edge of the hole is unusable: its
trades inside the hole are fetched as single trades. Otherwise an aggregate stands for all its trades: price, total
quantity, time and taker side are the same to the digit.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from marketstream.exchanges.binance.endpoints import (
    AGGREGATES_WEIGHT,
    PAGE,
    TRADES_WEIGHT,
    Aggregate,
    aggregates_between,
    aggregates_from,
    microseconds,
    trades_from,
)
from marketstream.exchanges.binance.rest import Rest
from marketstream.exchanges.binance.scales import Scales
from marketstream.exchanges.errors import HistoryUnavailableError
from marketstream.market.errors import NumberError
from marketstream.market.number import rescale
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
    found: _Part | None = None
    if after_us is not None and before_us is not None and aggregates_are_cheaper(last_id - first_id + 1):
        found = await _by_aggregates(rest, symbol, scales, first_id, last_id, after_us, before_us)
    if found is None:
        found = await _by_trades(rest, symbol, scales, first_id, last_id)
    return Trades.of(found.trades, *found.places) if found.trades else None


class _Part(NamedTuple):
    """Trades with the decimal places of price and quantity at which they were read: a later part may widen a scale."""

    trades: list[Trade]
    places: tuple[int, int]

    def then(self, other: "_Part") -> "_Part":
        """Return both parts as one, at the wider of their scales."""
        price_places, quantity_places = map(max, self.places, other.places)
        trades = [
            trade._replace(
                price=rescale(trade.price, part.places[0], price_places),
                quantity=rescale(trade.quantity, part.places[1], quantity_places),
            )
            for part in (self, other)
            for trade in part.trades
        ]
        return _Part(trades, (price_places, quantity_places))


async def _by_trades(rest: Rest, symbol: str, scales: Scales, first_id: int, last_id: int) -> _Part:
    limit = min(PAGE, last_id - first_id + 1)
    answer = await trades_from(rest, symbol, first_id, limit)
    if not answer:
        # No trade at all from there on, although later trades were received: the history is behind.
        raise HistoryUnavailableError(f"the history of {symbol} has not reached trade {first_id} yet")
    trades = [trade for trade in answer if first_id <= trade.id <= last_id]
    prices, quantities, places = _read([(trade.price, trade.quantity) for trade in trades], scales)
    return _Part(
        [
            Trade(trade.id, 1, microseconds(trade.time), price, quantity, not trade.buyer_is_maker)
            for trade, price, quantity in zip(trades, prices, quantities, strict=True)
        ],
        places,
    )


async def _by_aggregates(
    rest: Rest, symbol: str, scales: Scales, first_id: int, last_id: int, after_us: int, before_us: int
) -> _Part | None:
    """Return the trades starting at `first_id`, or None if the aggregates do not lead to `first_id`."""
    page = await aggregates_between(rest, symbol, after_us, before_us)
    for _ in range(_PAGES_TO_FIND):
        useful = [aggregate for aggregate in page if aggregate.last_id >= first_id]
        if useful:
            break
        if len(page) < PAGE:
            return None
        page = await aggregates_from(rest, symbol, page[-1].id + 1)
    else:
        return None
    edge = _Part([], (0, 0))
    if useful[0].first_id < first_id:
        across = useful.pop(0)
        edge = await _by_trades(rest, symbol, scales, first_id, min(across.last_id, last_id))
    found = edge.then(_aggregates([aggregate for aggregate in useful if aggregate.last_id <= last_id], scales))
    return found if found.trades and found.trades[0].id == first_id else None


def _aggregates(aggregates: Sequence[Aggregate], scales: Scales) -> _Part:
    prices, quantities, places = _read([(aggregate.price, aggregate.quantity) for aggregate in aggregates], scales)
    return _Part(
        [
            Trade(
                aggregate.first_id, aggregate.last_id - aggregate.first_id + 1, microseconds(aggregate.time),
                price, quantity, not aggregate.buyer_is_maker,
            )
            for aggregate, price, quantity in zip(aggregates, prices, quantities, strict=True)
        ],
        places,
    )  # fmt: skip


def _read(amounts: Sequence[tuple[str, str]], scales: Scales) -> tuple[list[int], list[int], tuple[int, int]]:
    """Return prices, quantities, and the decimal places at which they were read."""
    try:
        prices = scales.price.read_all([price for price, _ in amounts])
        quantities = scales.quantity.read_all([quantity for _, quantity in amounts])
    except NumberError as error:
        raise HistoryUnavailableError(f"Binance sent an invalid history: {error}") from error
    return prices, quantities, scales.places
