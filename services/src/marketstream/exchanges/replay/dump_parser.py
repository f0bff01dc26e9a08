"""Parsing of Binance's public trade dumps into columns of scaled integers.

Files have tens of millions of lines, so C-speed builtins parse all lines of a block at once. A block with anything
unusual in it is parsed line by line, and its invalid lines are refused.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from math import gcd
from operator import sub
from typing import Final, NamedTuple

from marketstream.exchanges.replay.layouts import (
    HIGHEST_ID,
    MOST_AGGREGATED,
    SPOT_TRADES,
    TAKER_BUYS,
    Layout,
    Row,
    amount,
    row_of,
)
from marketstream.market.errors import NumberError
from marketstream.market.number import MAX_SCALE, MAX_VALUE, rescale
from marketstream.market.trade import EARLIEST_US, FUTURE_US, Trades

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_ORDINARY: Final = b"0123456789.,\nTrueFalsetfRUEALS"

Refuse = Callable[[str, int, str], None]
"""Receives each invalid line: the reason (one word), the number of the line, and its text."""


class Part(NamedTuple):
    """Trades, with the number and the text of the line of each."""

    trades: Trades
    lines: Sequence[int]
    texts: Sequence[str]


class DumpParser:
    """Parses the blocks of one file, in order.

    The unit of each time (ms, or µs in files since 2025) follows from its magnitude. Scales only ever widen, as long as
    the amounts still fit 64 bits, so that they rarely change within a file.
    """

    def __init__(self, refuse: Refuse, now_us: int, layout: Layout = SPOT_TRADES) -> None:
        self._refuse = refuse
        self._latest = now_us + FUTURE_US
        self._layout = layout
        self._price_scale = 0
        self._quantity_scale = 0

    def parse(self, block: bytes, first_line: int) -> list[Part]:
        """Return the trades in the whole lines of `block`, whose first line has the number `first_line` (1-based)."""
        if first_line == 1:
            block = block.removeprefix(BYTE_ORDER_MARK)
        part = self._parse_block(block, first_line)
        if part is not None:
            return [part]
        return list(self._columns(list(self._rows(block, first_line))))

    def ids(self, block: bytes, first_line: int) -> Sequence[int]:
        """Return the first id of each row of `block`, as `parse` does, but without parsing the other columns."""
        table = _table(block, self._layout.size)
        if table is not None:
            try:
                return list(map(int, table.fields[self._layout.first_id :: self._layout.size]))
            except ValueError:
                pass
        return [id_ for part in self.parse(block, first_line) for id_ in part.trades.all_ids()]

    def _parse_block(self, block: bytes, first_line: int) -> Part | None:
        """Parse all lines at once, or return None if any line is unusual."""
        layout = self._layout
        table = _table(block, layout.size)
        if table is None:
            return None
        columns = [table.fields[place :: layout.size] for place in range(layout.size)]
        try:
            ids, times = list(map(int, columns[layout.first_id])), _to_us(list(map(int, columns[layout.time])))
            counts = None if layout.last_id is None else list(map(sub, map(int, columns[layout.last_id]), ids))
            prices, price_scale = _scaled(columns[1], self._price_scale)
            quantities, quantity_scale = _scaled(columns[2], self._quantity_scale)
            taker_buys = bytes(map(TAKER_BUYS.__getitem__, columns[layout.flags[0]]))
        except (ValueError, KeyError):
            return None
        if not (
            all(TAKER_BUYS.keys() >= set(columns[flag]) for flag in layout.flags[1:])
            and max(ids) < HIGHEST_ID - MOST_AGGREGATED
            and min(prices) > 0
            and max(prices) <= MAX_VALUE
            and max(quantities) <= MAX_VALUE
            and min(times) >= EARLIEST_US
            and max(times) <= self._latest
            and (counts is None or (min(counts) >= 0 and max(counts) < MOST_AGGREGATED))
        ):
            return None
        self._price_scale, self._quantity_scale = price_scale, quantity_scale
        trades = _trades(
            (price_scale, quantity_scale), ids, None if counts is None else [count + 1 for count in counts],
            times, prices, quantities, taker_buys,
        )  # fmt: skip
        return Part(trades, range(first_line, first_line + len(ids)), table.lines)

    def _rows(self, block: bytes, first_line: int) -> Iterator[tuple[int, str, Row]]:
        """Parse line by line, refusing invalid lines and skipping a header: a first line without any digit."""
        for number, text in enumerate(_lines(block), first_line):
            line = text.removesuffix("\r")
            if number == 1 and is_header(line):
                continue
            row = row_of(line.split(","), self._layout)
            if isinstance(row, str):
                self._refuse(row, number, line)
                continue
            time = row.time if row.time >= EARLIEST_US else row.time * 1000
            if EARLIEST_US <= time <= self._latest:
                yield number, line, row._replace(time=time)
            else:
                self._refuse("time", number, line)

    def _columns(self, found: Sequence[tuple[int, str, Row]]) -> Iterator[Part]:
        """Return the rows as columns at one scale, in several parts if the amounts do not fit one scale together."""
        if not found:
            return
        rows = [row for _, _, row in found]
        prices, price_scale = _at_one_scale([row.price for row in rows], self._price_scale)
        quantities, quantity_scale = _at_one_scale([row.quantity for row in rows], self._quantity_scale)
        if len(rows) > 1 and max(*prices, *quantities) > MAX_VALUE:
            middle = len(rows) // 2
            yield from self._columns(found[:middle])
            yield from self._columns(found[middle:])
            return
        self._price_scale, self._quantity_scale = price_scale, quantity_scale
        trades = _trades(
            (price_scale, quantity_scale), [row.id for row in rows], [row.n for row in rows],
            [row.time for row in rows], prices, quantities, bytes(row.taker_buy for row in rows),
        )  # fmt: skip
        yield Part(trades, [number for number, _, _ in found], [line for _, line, _ in found])


def is_header(line: str) -> bool:
    """Return True for a first line that names the columns: it has text, but no digit."""
    return bool(line) and not any(map(str.isdigit, line))


def _lines(block: bytes) -> list[str]:
    """Return the lines of a block, split only at newlines, which is also how lines are numbered."""
    return block.decode("utf-8", "replace").removesuffix("\n").split("\n")


class _Table(NamedTuple):
    """The lines of a block, and the fields of all of them in one list."""

    lines: list[str]
    fields: list[str]


def _table(block: bytes, size: int) -> _Table | None:
    """Return the table of a block, or None if any line is unusual or does not have `size` fields."""
    if not block or block.translate(None, _ORDINARY):
        return None
    lines = block.decode("ascii").removesuffix("\n").split("\n")
    if set(map(str.count, lines, repeat(","))) != {size - 1}:
        return None
    return _Table(lines, ",".join(lines).split(","))


def _trades(
    scales: tuple[int, int],
    ids: list[int],
    counts: list[int] | None,
    times: list[int],
    prices: list[int],
    quantities: list[int],
    taker_buys: bytes,
) -> Trades:
    if counts is not None and max(counts) == 1:
        counts = None
    if counts is None:
        consecutive = ids == list(range(ids[0], ids[0] + len(ids)))
    else:
        consecutive = all(id_ + n == after for id_, n, after in zip(ids, counts, ids[1:], strict=False))
    return Trades(*scales, ids[0], times, prices, quantities, taker_buys, None if consecutive else ids, counts)


def _to_us(times: list[int]) -> list[int]:
    """Return times, each in ms or µs, in µs."""
    if min(times) >= EARLIEST_US:
        return times
    return [time if time >= EARLIEST_US else time * 1000 for time in times]


def _scaled(texts: Sequence[str], least: int) -> tuple[list[int], int]:
    """Return the values of plain decimal texts at one scale, at least `least` if the values then fit 64 bits.

    A dump pads numbers with zeros (39432.48000000). Hence the digits of all texts, without points, are the values at
    the padded scale, and their greatest common divisor shows how many zeros are superfluous.

    The values may exceed 64 bits. Raises ValueError if a text is not a decimal number.
    """
    if set(map(str.count, texts, repeat("."))) != {1}:
        return _at_one_scale([amount(text) for text in texts], least)
    joined = "\n".join(texts)
    parts = joined.replace(".", "\n").split("\n")
    digits = set(map(len, parts[1::2]))
    if len(digits) != 1 or "" in parts:
        return _at_one_scale([amount(text) for text in texts], least)
    values, scale = list(map(int, joined.replace(".", "").split("\n"))), digits.pop()
    common, factor = gcd(*values), 1
    while scale > least and common % (factor * 10) == 0:
        factor *= 10
        scale -= 1
    if factor > 1:
        values = [value // factor for value in values]
    if scale > MAX_SCALE:
        raise NumberError(f"more than {MAX_SCALE} digits after the point")
    return _at_least(values, scale, least)


def _at_one_scale(amounts: Sequence[tuple[int, int]], least: int) -> tuple[list[int], int]:
    """Return the values of (value, scale) pairs at their widest scale, or at `least` if wider and fitting 64 bits."""
    widest = max(scale for _, scale in amounts)
    return _at_least([rescale(value, scale, widest) for value, scale in amounts], widest, least)


def _at_least(values: list[int], scale: int, least: int) -> tuple[list[int], int]:
    if scale >= least or max(values) * 10 ** (least - scale) > MAX_VALUE:
        return values, scale
    return [rescale(value, scale, least) for value in values], least
