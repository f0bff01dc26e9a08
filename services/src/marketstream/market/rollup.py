"""Roll-up of shorter candles into the candle of a longer interval while its window is still open.

The rules are those of the SQL that stores closed candles (postgres/statements.py), so a candle does not change when it
closes.
"""

from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Final, NamedTuple, Protocol

from marketstream.market.candle import HOLE, UNCONFIRMED, UNFILLABLE, UNORDERED_IDS
from marketstream.market.number import decimal_text
from marketstream.market.window import INTERVALS, Interval

_SEVERITY: Final = (HOLE, UNFILLABLE, UNORDERED_IDS)
"""Reasons, the worst first. An incomplete candle without one of these reasons is unconfirmed."""

_EXACT: Final = Context(prec=120)
"""Sums of decimals are never rounded: a day of the greatest amounts has far fewer digits."""


class Child(Protocol):
    """A candle as readers see it: amounts are decimal text, and the window's start is in Unix seconds."""

    @property
    def window_start(self) -> int: ...
    @property
    def open(self) -> str: ...
    @property
    def high(self) -> str: ...
    @property
    def low(self) -> str: ...
    @property
    def close(self) -> str: ...
    @property
    def volume(self) -> str: ...
    @property
    def quote_volume(self) -> str: ...
    @property
    def taker_buy_volume(self) -> str: ...
    @property
    def trade_count(self) -> int: ...
    @property
    def first_trade_id(self) -> int: ...
    @property
    def last_trade_id(self) -> int: ...
    @property
    def complete(self) -> bool: ...
    @property
    def incomplete_reason(self) -> str | None: ...


class RolledUp(NamedTuple):
    """A candle rolled up from its children, the candles of the shorter windows within its own."""

    window_start: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    taker_buy_volume: str
    trade_count: int
    first_trade_id: int
    last_trade_id: int
    complete: bool
    incomplete_reason: str | None


def roll_up(interval: Interval, window_start: int, children: Sequence[Child]) -> RolledUp:
    """Return the candle of `interval` at `window_start` (Unix seconds), rolled up from the existing `children`.

    There is at least one child. The children are candles of the next shorter interval within the window, oldest first.
    Children without trades contribute no prices, unless no child has trades. The candle is complete if every child
    exists and is complete.

    Raise ValueError if candles of `interval` are not rolled up from others.
    """
    traded = [child for child in children if child.trade_count] or children
    complete = len(children) == _expected(interval) and all(child.complete for child in children)
    return RolledUp(
        window_start=window_start,
        open=traded[0].open,
        high=max((child.high for child in traded), key=Decimal),
        low=min((child.low for child in traded), key=Decimal),
        close=traded[-1].close,
        volume=_sum([child.volume for child in children]),
        quote_volume=_sum([child.quote_volume for child in children]),
        taker_buy_volume=_sum([child.taker_buy_volume for child in children]),
        trade_count=sum(child.trade_count for child in children),
        first_trade_id=traded[0].first_trade_id,
        last_trade_id=traded[-1].last_trade_id,
        complete=complete,
        incomplete_reason=None if complete else _reason(children),
    )


def _expected(interval: Interval) -> int:
    if interval.children is None:
        raise ValueError(f"candles of {interval.name} are built from trades, not from shorter candles")
    return interval.seconds // INTERVALS[interval.children].seconds


def _reason(children: Sequence[Child]) -> str:
    reasons = {child.incomplete_reason for child in children}
    return next((reason for reason in _SEVERITY if reason in reasons), UNCONFIRMED)


def _sum(amounts: Sequence[str]) -> str:
    total = Decimal(0)
    for amount in amounts:
        total = _EXACT.add(total, Decimal(amount))
    return decimal_text(total)
