"""Parsing of Binance's public trade dumps into columns of scaled integers.

A line is `id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch`, as described at
https://github.com/binance/binance-public-data. Files have tens of millions of lines, so C-speed builtins parse all
lines of a block at once. A block with anything unusual in it is parsed line by line, and its invalid lines are refused.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from math import gcd
from typing import Final, NamedTuple

from marketstream.market.errors import NumberError
from marketstream.market.number import MAX_SCALE, MAX_VALUE, parse, rescale
from marketstream.market.trade import EARLIEST_US, FUTURE_US, Trades

COLUMNS: Final = "id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch"
_SIZE: Final = 7
_ORDINARY: Final = b"0123456789.,\nTrueFalsetf"
# isBuyerMaker: if the buyer was the maker, the taker sold.
_TAKER_BUYS: Final = {"True": 0, "true": 0, "TRUE": 0, "False": 1, "false": 1, "FALSE": 1}

Refuse = Callable[[str, int, str], None]
"""Receives each invalid line: the reason (one word), the number of the line, and its text."""


class _Row(NamedTuple):
    id: int
    time: int
    price: tuple[int, int]
    quantity: tuple[int, int]
    taker_buy: int


class DumpParser:
    """Parses the blocks of one file, in order.

    The unit of the times (ms, or µs in files since 2025) is determined once, by the magnitude of the first plausible
    time. Scales only ever widen, as long as the amounts still fit 64 bits, so that they rarely change within a file.
    """

    def __init__(self, refuse: Refuse, now_us: int) -> None:
        self._refuse = refuse
        self._latest = now_us + FUTURE_US
        self._unit: int | None = None
        self._price_scale = 0
        self._quantity_scale = 0

    def parse(self, block: bytes, first_line: int) -> list[Trades]:
        """Return the trades in the whole lines of `block`, whose first line has the number `first_line` (1-based)."""
        trades = self._parse_block(block)
        if trades is not None:
            return [trades]
        return list(self._columns(list(self._rows(block, first_line))))

    def _parse_block(self, block: bytes) -> Trades | None:
        """Parse all lines at once, or return None if any line is unusual."""
        if not block or block.translate(None, _ORDINARY):
            return None
        lines = block.decode("ascii").removesuffix("\n").split("\n")
        if set(map(str.count, lines, repeat(","))) != {_SIZE - 1}:
            return None
        fields = ",".join(lines).split(",")
        try:
            ids, raw_times = list(map(int, fields[0::_SIZE])), list(map(int, fields[4::_SIZE]))
            prices, price_scale = _scaled(fields[1::_SIZE], self._price_scale)
            quantities, quantity_scale = _scaled(fields[2::_SIZE], self._quantity_scale)
            taker_buys = bytes(map(_TAKER_BUYS.__getitem__, fields[5::_SIZE]))
        except (ValueError, KeyError):
            return None
        times = self._to_us(raw_times)
        if not (
            _TAKER_BUYS.keys() >= set(fields[6::_SIZE])
            and max(ids) <= MAX_VALUE
            and min(prices) > 0
            and max(prices) <= MAX_VALUE
            and max(quantities) <= MAX_VALUE
            and min(times) >= EARLIEST_US
            and max(times) <= self._latest
        ):
            return None
        self._price_scale, self._quantity_scale = price_scale, quantity_scale
        consecutive = ids == list(range(ids[0], ids[0] + len(ids)))
        return Trades(
            price_scale, quantity_scale, ids[0], times, prices, quantities, taker_buys, None if consecutive else ids
        )

    def _rows(self, block: bytes, first_line: int) -> Iterator[_Row]:
        """Parse line by line, refusing invalid lines and skipping a header: a first line without any digit."""
        rows: list[tuple[int, str, _Row]] = []
        for number, line in enumerate(block.decode("utf-8", "replace").splitlines(), first_line):
            if number == 1 and line and not any(map(str.isdigit, line)):
                continue
            row = _parse_line(line)
            if isinstance(row, str):
                self._refuse(row, number, line)
            else:
                rows.append((number, line, row))
        times = self._to_us([row.time for _, _, row in rows])
        for (number, line, row), time in zip(rows, times, strict=True):
            if EARLIEST_US <= time <= self._latest:
                yield row._replace(time=time)
            else:
                self._refuse("time", number, line)

    def _columns(self, rows: Sequence[_Row]) -> Iterator[Trades]:
        """Return the rows as columns at one scale, in several parts if the amounts do not fit one scale together."""
        if not rows:
            return
        prices, price_scale = _at_one_scale([row.price for row in rows], self._price_scale)
        quantities, quantity_scale = _at_one_scale([row.quantity for row in rows], self._quantity_scale)
        if len(rows) > 1 and max(*prices, *quantities) > MAX_VALUE:
            middle = len(rows) // 2
            yield from self._columns(rows[:middle])
            yield from self._columns(rows[middle:])
            return
        self._price_scale, self._quantity_scale = price_scale, quantity_scale
        ids = [row.id for row in rows]
        yield Trades(
            price_scale, quantity_scale, ids[0], [row.time for row in rows], prices, quantities,
            bytes(row.taker_buy for row in rows),
            None if ids == list(range(ids[0], ids[0] + len(ids))) else ids,
        )  # fmt: skip

    def _to_us(self, raw: list[int]) -> list[int]:
        if self._unit is None:
            plausible = (unit for time in raw for unit in (1, 1000) if EARLIEST_US <= time * unit <= self._latest)
            self._unit = next(plausible, None)
        return raw if self._unit in (1, None) else [time * 1000 for time in raw]


def _scaled(texts: Sequence[str], least: int) -> tuple[list[int], int]:
    """Return the values of plain decimal texts at one scale, at least `least` if the values then fit 64 bits.

    A dump pads numbers with zeros (39432.48000000). Hence the digits of all texts, without points, are the values at
    the padded scale, and their greatest common divisor shows how many zeros are superfluous.

    The values may exceed 64 bits. Raises ValueError if a text is not a plain decimal number.
    """
    if set(map(str.count, texts, repeat("."))) != {1}:
        return _at_one_scale([parse(text) for text in texts], least)
    joined = "\n".join(texts)
    parts = joined.replace(".", "\n").split("\n")
    digits = set(map(len, parts[1::2]))
    if len(digits) != 1 or "" in parts:
        return _at_one_scale([parse(text) for text in texts], least)
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


def _parse_line(line: str) -> _Row | str:
    """Return the row in a line, with its time as written; for an invalid line, return the reason in one word."""
    fields = line.split(",")
    if len(fields) != _SIZE:
        return "columns"
    id_, price, quantity, _, time, buyer_is_maker, best_match = fields
    if not (_is_whole(id_) and int(id_) <= MAX_VALUE):
        return "id"
    if not _is_whole(time):
        return "time"
    if buyer_is_maker not in _TAKER_BUYS or best_match not in _TAKER_BUYS:
        return "side"
    try:
        row = _Row(int(id_), int(time), parse(price), parse(quantity), _TAKER_BUYS[buyer_is_maker])
    except ValueError:  # NumberError, or Python's own error for a number of thousands of digits
        return "number"
    return row if row.price[0] > 0 else "price"


def _is_whole(text: str) -> bool:
    # At most as many digits as 64 bits have: Python refuses to convert numbers of thousands of digits.
    return text.isascii() and text.isdigit() and len(text) < 20
