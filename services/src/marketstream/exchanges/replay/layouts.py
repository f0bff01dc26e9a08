"""The layouts of Binance's public trade dumps, recognised by their columns and header, never by the name of the file.

The dumps are described at https://github.com/binance/binance-public-data. Files of spot have no header, files of
futures have one since 2022.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from marketstream.market.number import parse
from marketstream.market.trade import MAX_ID

SPOT: Final = "spot"
USDM: Final = "USD-M futures"

# isBuyerMaker: if the buyer was the maker, the taker sold.
TAKER_BUYS: Final = {"True": 0, "true": 0, "TRUE": 0, "False": 1, "false": 1, "FALSE": 1}

MOST_AGGREGATED: Final = 1_000_000
"""Maximum number of trades in one aggregate. More means that an id is wrong."""

HIGHEST_ID: Final = MAX_ID - 2 * MOST_AGGREGATED

_EXPONENT: Final = re.compile(r"[0-9]{1,40}(?:\.[0-9]{1,40})?[eE][+-]?[0-9]{1,2}", re.ASCII)


class Layout(NamedTuple):
    """The columns of a dump, by position."""

    name: str
    market: str
    header: tuple[str, ...]
    """The names of the columns as Binance writes them."""
    time: int
    flags: tuple[int, ...]
    """Columns that are true or false. The first of them is isBuyerMaker."""
    first_id: int = 0
    last_id: int | None = None
    """The last id of an aggregate of trades with consecutive ids; None if every row has one id."""
    is_ordered: bool = True
    """False if missing ids prove nothing, because the exchange skips ids."""

    @property
    def size(self) -> int:
        """The number of columns."""
        return len(self.header)


SPOT_TRADES: Final = Layout(
    "spot trades", SPOT, ("id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch"), 4, (5, 6)
)
SPOT_AGGREGATES: Final = Layout(
    "spot aggregates",
    SPOT,
    ("a", "price", "qty", "first id", "last id", "time", "isBuyerMaker", "isBestMatch"),
    5,
    (6, 7),
    first_id=3,
    last_id=4,
)
USDM_TRADES: Final = Layout(
    "USD-M trades", USDM, ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker"), 4, (5,), is_ordered=False
)
USDM_AGGREGATES: Final = Layout(
    "USD-M aggregates",
    USDM,
    ("agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time", "is_buyer_maker"),
    5,
    (6,),
)
"""The range of trade ids of an aggregate is not used: ids of trades that USD-M skips would look like missing trades."""

LAYOUTS: Final = (SPOT_TRADES, SPOT_AGGREGATES, USDM_TRADES, USDM_AGGREGATES)

_ALIASES: Final = {
    "id": "id", "tradeid": "id", "price": "price", "qty": "qty", "quantity": "qty", "quoteqty": "quote",
    "time": "time", "timestamp": "time", "transacttime": "time", "isbuyermaker": "maker", "isbestmatch": "best",
    "a": "aggregate", "aggid": "aggregate", "aggtradeid": "aggregate", "firstid": "first", "firsttradeid": "first",
    "lastid": "last", "lasttradeid": "last",
}  # fmt: skip
_COIN_QUANTITY: Final = "baseqty"
_CONTRACTS_USD: Final = (10, 100)
"""The values of one contract of COIN-M futures, in USD."""

COIN_SYMBOL: Final = re.compile(r"[A-Z0-9]+USD_(?:PERP|[0-9]{6})", re.ASCII | re.IGNORECASE)
"""Symbols of COIN-M futures, such as BTCUSD_PERP and BTCUSD_240628."""


class Row(NamedTuple):
    """A trade or an aggregate; `price` and `quantity` are pairs of value and scale, `time` is as written."""

    id: int
    n: int
    time: int
    price: tuple[int, int]
    quantity: tuple[int, int]
    taker_buy: int


def row_of(fields: Sequence[str], layout: Layout) -> Row | str:
    """Return the row in the fields of a line, with its time as written; for an invalid one, the reason in one word."""
    if len(fields) != layout.size:
        return "columns"
    first, last = fields[layout.first_id], fields[layout.first_id if layout.last_id is None else layout.last_id]
    if not (_is_whole(first) and _is_whole(last) and 0 <= int(last) - int(first) < MOST_AGGREGATED):
        return "id"
    if int(last) > HIGHEST_ID:
        return "id"
    if not _is_whole(fields[layout.time]):
        return "time"
    if any(fields[flag] not in TAKER_BUYS for flag in layout.flags):
        return "side"
    try:
        price, quantity = amount(fields[1]), amount(fields[2])
    except ValueError:  # NumberError, or Python's own error for a number of thousands of digits
        return "number"
    if price[0] <= 0:
        return "price"
    taker_buy = TAKER_BUYS[fields[layout.flags[0]]]
    return Row(int(first), int(last) - int(first) + 1, int(fields[layout.time]), price, quantity, taker_buy)


def amount(text: str) -> tuple[int, int]:
    """Return value and scale of a decimal number, which may have an exponent (1e-05). Raise NumberError for others."""
    if _EXPONENT.fullmatch(text):
        text = f"{Decimal(text):f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
    return parse(text)


def layout_of(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Layout | None:
    """Return the layout that most of the rows have, or None if no row has any, or if the header contradicts it.

    A damaged row may look like a row of another layout. Of two layouts with as many rows, the one with more columns is
    taken, because damaged rows lose columns. A header with known names decides alone.
    """
    known = [_ALIASES.get(_plain(name)) for name in header]
    named = [layout for layout in LAYOUTS if known and known == [_ALIASES[_plain(name)] for name in layout.header]]
    votes = Counter(layout for row in rows for layout in named or LAYOUTS if not isinstance(row_of(row, layout), str))
    if not votes:
        return None
    layout = max(votes, key=lambda each: (votes[each], each.size))
    # A header with names of its own says nothing, but a known name in another place means other columns.
    names = [_ALIASES[_plain(name)] for name in layout.header]
    misplaced = [name for place, name in enumerate(known) if name in names and names.index(name) != place]
    return None if misplaced else layout


def is_coin_margined(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bool:
    """Return True if the quantities are contracts, as the header or most of the rows of 6 columns show.

    The fourth column is then the quantity in the base currency: the contracts, each worth 10 or 100 USD, at the price.
    """
    if _COIN_QUANTITY in map(_plain, header):
        return True
    of_coin = of_others = 0
    for fields in rows:
        if isinstance(row_of(fields, USDM_TRADES), str):
            continue
        try:
            price, quantity, third = (Decimal(text) for text in fields[1:4])
        except ArithmeticError:
            continue
        coins = any(_is_near(third * price, contract * quantity) for contract in _CONTRACTS_USD)
        is_coin = coins and not _is_near(third, price * quantity)
        of_coin, of_others = of_coin + is_coin, of_others + (not is_coin)
    return of_coin > of_others


def _is_near(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) * 50 <= other  # the files round to few digits


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def _is_whole(text: str) -> bool:
    # At most as many digits as 64 bits have: Python refuses to convert numbers of thousands of digits.
    return text.isascii() and text.isdigit() and len(text) < 20
