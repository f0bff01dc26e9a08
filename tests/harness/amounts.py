"""Amounts and columns at other scales, for models and fakes."""

from decimal import Decimal

import msgspec
from marketstream.market.number import parse, rescale
from marketstream.market.trade import Trades


def to_decimal(value: int, scale: int) -> Decimal:
    """Return the amount as a Decimal, exactly, whatever the precision of the current decimal context."""
    return Decimal((0 if value >= 0 else 1, tuple(map(int, str(abs(value)))), -scale))


def parse_at(text: str, scale: int) -> int:
    """Return the value of `text` at `scale`. Raise NumberError if digits would be lost."""
    value, least = parse(text)
    return rescale(value, least, scale)


def rescaled(trades: Trades, price_scale: int, quantity_scale: int) -> Trades:
    """Return the same trades at other scales, neither below its own."""
    return msgspec.structs.replace(
        trades,
        price_scale=price_scale,
        quantity_scale=quantity_scale,
        prices=[rescale(price, trades.price_scale, price_scale) for price in trades.prices],
        quantities=[rescale(quantity, trades.quantity_scale, quantity_scale) for quantity in trades.quantities],
    )
