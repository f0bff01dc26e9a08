"""The REST endpoints in use, one function each (REST API: General endpoints, Market Data endpoints)."""

from collections.abc import Sequence
from typing import Final

import msgspec

from marketstream.exchanges.binance.messages import EARLIEST_MICROSECONDS
from marketstream.exchanges.binance.rest import Rest
from marketstream.exchanges.errors import RequestRefusedError

PAGE: Final = 1000
"""Maximum number of trades, or aggregates, in one answer."""

TRADES_WEIGHT: Final = 25
AGGREGATES_WEIGHT: Final = 4

_TICKERS: Final = 20  # symbols in one request of weight 2
_NAMED: Final = 100  # symbols that fit well into one URL; for more symbols, the whole list is fetched

_UNLISTED: Final = (-1100, -1121)  # ILLEGAL_CHARS, for a text not even spelled like a symbol, and BAD_SYMBOL


class Filter(msgspec.Struct, rename={"kind": "filterType", "tick": "tickSize", "step": "stepSize"}):
    """A rule for orders. The price filter has a tick, the lot filter a step."""

    kind: str
    tick: str = ""
    step: str = ""


class Listed(msgspec.Struct):
    """A symbol that the exchange lists. `status` is TRADING if the symbol can be traded."""

    symbol: str
    status: str
    filters: list[Filter]


class _ExchangeInfo(msgspec.Struct):
    symbols: list[Listed]


class _Time(msgspec.Struct):
    serverTime: int  # noqa: N815 - the protocol's spelling


class _Ticker(msgspec.Struct, rename="camel"):
    symbol: str
    last_id: int


class RestTrade(msgspec.Struct, gc=False, rename={"quantity": "qty", "buyer_is_maker": "isBuyerMaker"}):
    """A trade. `time` is in ms or µs, as sent."""

    id: int
    price: str
    quantity: str
    time: int
    buyer_is_maker: bool


class Aggregate(
    msgspec.Struct,
    gc=False,
    rename={
        "id": "a", "price": "p", "quantity": "q", "first_id": "f", "last_id": "l", "time": "T", "buyer_is_maker": "m",
    },
):  # fmt: skip
    """The trades of one taker order at one price and time.

    `id` counts aggregates; `first_id` and `last_id` are ids of trades. `time` is in ms or µs, as sent.
    """

    id: int
    price: str
    quantity: str
    first_id: int
    last_id: int
    time: int
    buyer_is_maker: bool


def microseconds(time: int) -> int:
    """Return a time as sent by Binance in Unix µs: an address that ignores X-MBX-TIME-UNIT answers in ms."""
    return time if time >= EARLIEST_MICROSECONDS else time * 1000


def is_unlisted(error: RequestRefusedError) -> bool:
    """Return True if one of the requested symbols is not listed (chapter Error Codes). Binance does not say which."""
    return error.code in _UNLISTED


async def listed(rest: Rest, symbols: Sequence[str]) -> dict[str, Listed]:
    """Return the listings of those `symbols` that the exchange lists (GET /api/v3/exchangeInfo, weight 20)."""
    wanted = set(symbols)
    if len(wanted) <= _NAMED:
        try:
            info = await _exchange_info(rest, msgspec.json.encode(sorted(wanted)).decode())
        except RequestRefusedError as error:
            # Binance refuses the whole request for one unlisted symbol, without naming it: fetch the whole list.
            if not is_unlisted(error):
                raise
            info = await _exchange_info(rest)
    else:
        info = await _exchange_info(rest)
    return {entry.symbol: entry for entry in info.symbols if entry.symbol in wanted}


async def _exchange_info(rest: Rest, symbols: str | None = None) -> _ExchangeInfo:
    named = {"symbols": symbols} if symbols is not None else {"showPermissionSets": "false"}
    return await rest.get("/api/v3/exchangeInfo", 20, _ExchangeInfo, **named)


async def server_time_us(rest: Rest) -> int:
    """Return the exchange's clock in Unix µs (GET /api/v3/time, weight 1)."""
    return microseconds((await rest.get("/api/v3/time", 1, _Time)).serverTime)


async def newest_trade(rest: Rest, symbol: str) -> RestTrade | None:
    """Return the newest trade, or None if there never was one (GET /api/v3/trades, weight 25)."""
    trades = await rest.get("/api/v3/trades", TRADES_WEIGHT, list[RestTrade], symbol=symbol, limit=1)
    return trades[-1] if trades else None


async def newest_id(rest: Rest, symbol: str) -> int | None:
    """Return the id of the newest trade, or None if there never was one.

    Costs weight 2, and 25 more if the symbol was not traded during the last day.
    """
    if (found := (await newest_ids(rest, (symbol,))).get(symbol)) is not None:
        return found
    trade = await newest_trade(rest, symbol)
    return trade.id if trade is not None else None


async def newest_ids(rest: Rest, symbols: Sequence[str]) -> dict[str, int]:
    """Return the newest trade id of each symbol that was traded during the last day.

    GET /api/v3/ticker/24hr has weight 2 for up to 20 symbols; the newest trades would cost 250 times as much.
    """
    found: dict[str, int] = {}
    for start in range(0, len(symbols), _TICKERS):
        names = msgspec.json.encode(symbols[start : start + _TICKERS]).decode()
        tickers = await rest.get("/api/v3/ticker/24hr", 2, list[_Ticker], symbols=names, type="MINI")
        found |= {ticker.symbol: ticker.last_id for ticker in tickers if ticker.last_id >= 0}
    return found


async def trades_from(rest: Rest, symbol: str, first_id: int, limit: int) -> list[RestTrade]:
    """Return up to `limit` trades, starting at the id `first_id`.

    GET /api/v3/historicalTrades has weight 25 for any limit.
    """
    return await rest.get(
        "/api/v3/historicalTrades", TRADES_WEIGHT, list[RestTrade], symbol=symbol, fromId=first_id, limit=limit
    )


async def aggregates_between(rest: Rest, symbol: str, start_us: int, end_us: int) -> list[Aggregate]:
    """Return a page of the aggregates between two times (both included), oldest first.

    GET /api/v3/aggTrades has weight 4.
    """
    return await rest.get(
        "/api/v3/aggTrades", AGGREGATES_WEIGHT, list[Aggregate],
        symbol=symbol, startTime=start_us, endTime=end_us, limit=PAGE,
    )  # fmt: skip


async def aggregates_from(rest: Rest, symbol: str, aggregate_id: int) -> list[Aggregate]:
    """Return a page of aggregates, starting at `aggregate_id`, which is not the id of a trade (weight 4)."""
    return await rest.get(
        "/api/v3/aggTrades", AGGREGATES_WEIGHT, list[Aggregate], symbol=symbol, fromId=aggregate_id, limit=PAGE
    )
