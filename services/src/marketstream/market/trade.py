"""Trades of one symbol as columns: one list for each field, so that fast builtins (sum, max, compress) can be used."""

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from operator import add
from typing import Annotated, Final, NamedTuple, Self

import msgspec

from marketstream.market.errors import TradeError
from marketstream.market.number import MAX_SCALE

EARLIEST_US: Final = 1_230_940_800_000_000
"""2009-01-03, the day of the first Bitcoin block. An earlier time is in a wrong unit (ms or s read as µs)."""

LATEST_US: Final = 4_102_444_800_000_000
"""2100-01-01. A later time is in a wrong unit (ns read as µs), whatever the receiver's clock says."""

FUTURE_US: Final = 3600 * 1_000_000
"""Maximum µs by which the time of a trade may be later than its receipt.

It allows for a wrong clock, but not for a wrong unit (ns read as µs).
"""

WRONG_CLOCK_US: Final = 3 * FUTURE_US
"""Maximum µs by which a time of the exchange may be later than the reader's own clock.

Both clocks of a record, the exchange's and its receiver's, may be far ahead, and such a record would close all windows
until then. The reader's own clock may be wrong as well: trades are still accepted while it is two hours behind.
"""

MAX_ID: Final = 2**62
"""Greatest trade id: sums of ids and ends of ranges then fit in 64 bits."""


class Trade(NamedTuple):
    """One entry of the columns: `n` trades with consecutive ids starting at `id`, all with the same price and time."""

    id: int
    n: int
    time: int
    price: int
    quantity: int
    taker_buy: bool


class Trades(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Trades of one symbol, in the order in which the exchange sent them.

    `times` are the exchange's, in Unix µs. `prices` and `quantities` are scaled integers, value / 10**scale.
    `taker_buys` holds a byte for each entry: 1 if the taker bought. `ids` is None if the ids are consecutive,
    starting at `first_id`, as they nearly always are. `counts` is None if every entry is one trade; the count of an
    aggregate of n consecutive ids is n. Columns without `ids` and `counts` are called plain.
    """

    price_scale: int
    quantity_scale: int
    first_id: int
    times: list[int]
    # The decoder checks these two bounds at no cost, so the hot path need not check them.
    prices: list[Annotated[int, msgspec.Meta(gt=0)]]
    quantities: list[Annotated[int, msgspec.Meta(ge=0)]]
    taker_buys: bytes
    ids: list[int] | None = None
    counts: list[int] | None = None

    @classmethod
    def of(cls, trades: Sequence[Trade], price_scale: int, quantity_scale: int) -> Self:
        """Return the columns of `trades`. Raise TradeError if there are none."""
        if not trades:
            raise TradeError("no trades were given: columns need at least one")
        ids, counts, times, prices, quantities, taker_buys = (list(column) for column in zip(*trades, strict=True))
        plain = all(count == 1 for count in counts)
        consecutive = ids[1:] == list(map(add, ids[:-1], counts[:-1]))
        return cls(
            price_scale, quantity_scale, ids[0], times, prices, quantities, bytes(taker_buys),
            None if consecutive else ids, None if plain else counts,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.times)

    def __iter__(self) -> Iterator[Trade]:
        return map(
            Trade, self.all_ids(), self.counts or repeat(1), self.times, self.prices, self.quantities,
            map(bool, self.taker_buys),
        )  # fmt: skip

    def all_ids(self) -> Sequence[int]:
        """Return the first id of each entry."""
        if self.ids is not None:
            return self.ids
        if self.counts is None:
            return range(self.first_id, self.first_id + len(self.times))
        ids, next_id = [], self.first_id
        for count in self.counts:
            ids.append(next_id)
            next_id += count
        return ids

    def cut(self, start: int, stop: int) -> "Trades":
        """Return the entries from index `start` up to, but not including, `stop`: at least one entry."""
        if start == 0 and stop >= len(self.times):
            return self
        return Trades(
            self.price_scale, self.quantity_scale, self.all_ids()[start],
            self.times[start:stop], self.prices[start:stop], self.quantities[start:stop], self.taker_buys[start:stop],
            None if self.ids is None else self.ids[start:stop],
            None if self.counts is None else self.counts[start:stop],
        )  # fmt: skip

    def check(self, received_us: int) -> None:
        """Raise TradeError if an entry cannot be a trade that was received at `received_us` (Unix µs)."""
        size = len(self.times)
        columns = (self.prices, self.quantities, self.taker_buys, self.ids, self.counts)
        if not size or any(column is not None and len(column) != size for column in columns):
            lengths = [size, *(len(column) for column in columns if column is not None)]
            raise TradeError(f"columns of lengths {lengths}: expected equal lengths above 0")
        if not (0 <= self.price_scale <= MAX_SCALE and 0 <= self.quantity_scale <= MAX_SCALE):
            raise TradeError(f"scales of {self.price_scale} and {self.quantity_scale}: expected 0 to {MAX_SCALE}")
        if min(self.prices) <= 0:
            raise TradeError(f"a price of {min(self.prices)} at scale {self.price_scale}: expected a price above 0")
        if min(self.quantities) < 0:
            raise TradeError(f"a quantity of {min(self.quantities)}: expected 0 or more")
        if min(self.times) < EARLIEST_US or max(self.times) > min(received_us + FUTURE_US, LATEST_US):
            raise TradeError(
                f"times from {min(self.times)} to {max(self.times)}, received at {received_us}: "
                f"expected Unix µs, between 2009 and an hour after receipt; is a clock wrong?"
            )
        if min(self.ids or (self.first_id,)) < 0 or min(self.counts or (1,)) < 1:
            raise TradeError("an id below 0 or a count below 1: neither is possible")
        if max(self.ids or (self.first_id,)) + sum(self.counts or (size,)) > MAX_ID:
            raise TradeError(f"an id above {MAX_ID}: expected at most that")


def join(parts: Sequence[Trades]) -> Trades:
    """Return all entries of `parts` in their order: at least one part, and all at the same scales."""
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
