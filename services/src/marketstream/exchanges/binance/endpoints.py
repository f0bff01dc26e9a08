"""The endpoints that are used, one function each (REST API: General endpoints, Market Data endpoints)."""

from collections.abc import Sequence
from typing import Final

import msgspec

from marketstream.exchanges.binance.messages import EARLIEST_MICROSECONDS
from marketstream.exchanges.binance.rest import Rest
from marketstream.exchanges.errors import RequestRefusedError

PAGE: Final = 1000
"""Most trades, or aggregates, in one answer."""

TRADES_WEIGHT: Final = 25
AGGREGATES_WEIGHT: Final = 4

_TICKERS: Final = 20  # symbols that one request of weight 2 takes
_NAMED: Final = 100  # symbols that fit well into one address; for more the whole list is fetched

_UNLISTED: Final = (-1100, -1121)  # BAD_SYMBOL, and ILLEGAL_CHARS for what is not even spelled like a symbol


class Filter(msgspec.Struct, rename={"kind": "filterType", "tick": "tickSize", "step": "stepSize"}):
    """A rule for orders; the price filter has a tick, the lot filter a step."""

    kind: str
    tick: str = ""
    step: str = ""


class Listed(msgspec.Struct):
    """A symbol that the exchange lists. `status` is TRADING when it can be traded."""

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
    """A trade; its time in ms or µs, as sent."""

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
    """Trades of one taker order at one price and time. `id` counts aggregates; the other two are ids of trades."""

    id: int
    price: str
    quantity: str
    first_id: int
    last_id: int
    time: int
    buyer_is_maker: bool


def microseconds(time: int) -> int:
    """A time as Binance sends it, in µs: an address that does not know X-MBX-TIME-UNIT answers in ms."""
    return time if time >= EARLIEST_MICROSECONDS else time * 1000


def is_unlisted(error: RequestRefusedError) -> bool:
    """Return True if one of the requested symbols is not listed (chapter Error Codes). Binance does not say which."""
    return error.code in _UNLISTED


async def listed(rest: Rest, symbols: Sequence[str]) -> dict[str, Listed]:
    """Those of `symbols` that the exchange lists (GET /api/v3/exchangeInfo, weight 20)."""
    wanted = set(symbols)
    if len(wanted) <= _NAMED:
        try:
            info = await _exchange_info(rest, msgspec.json.encode(sorted(wanted)).decode())
        except RequestRefusedError as error:
            # One that is not listed has the whole request refused, without a word which: the whole list will tell.
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
    """The exchange's clock, Unix µs (GET /api/v3/time, weight 1)."""
    return microseconds((await rest.get("/api/v3/time", 1, _Time)).serverTime)


async def newest_trade(rest: Rest, symbol: str) -> RestTrade | None:
    """The newest trade (GET /api/v3/trades, weight 25); None when there never was one."""
    trades = await rest.get("/api/v3/trades", TRADES_WEIGHT, list[RestTrade], symbol=symbol, limit=1)
    return trades[-1] if trades else None


async def newest_id(rest: Rest, symbol: str) -> int | None:
    """The id of the newest trade; None when there never was one. Where nobody has traded in the last day, this costs
    the newest trade as well."""
    if (found := (await newest_ids(rest, (symbol,))).get(symbol)) is not None:
        return found
    trade = await newest_trade(rest, symbol)
    return trade.id if trade is not None else None


async def newest_ids(rest: Rest, symbols: Sequence[str]) -> dict[str, int]:
    """The newest trade id of each symbol that has traded in the last day (GET /api/v3/ticker/24hr, weight 2 for up to
    20 symbols: to ask for the newest trades themselves would cost 250 times as much)."""
    found: dict[str, int] = {}
    for start in range(0, len(symbols), _TICKERS):
        names = msgspec.json.encode(symbols[start : start + _TICKERS]).decode()
        tickers = await rest.get("/api/v3/ticker/24hr", 2, list[_Ticker], symbols=names, type="MINI")
        found |= {ticker.symbol: ticker.last_id for ticker in tickers if ticker.last_id >= 0}
    return found


async def trades_from(rest: Rest, symbol: str, first_id: int, limit: int) -> list[RestTrade]:
    """Up to `limit` trades with ids from `first_id` on (GET /api/v3/historicalTrades, weight 25 whatever the limit)."""
    return await rest.get(
        "/api/v3/historicalTrades", TRADES_WEIGHT, list[RestTrade], symbol=symbol, fromId=first_id, limit=limit
    )


async def aggregates_between(rest: Rest, symbol: str, start_us: int, end_us: int) -> list[Aggregate]:
    """A page of the aggregates of these times, both included, oldest first (GET /api/v3/aggTrades, weight 4)."""
    return await rest.get(
        "/api/v3/aggTrades", AGGREGATES_WEIGHT, list[Aggregate],
        symbol=symbol, startTime=start_us, endTime=end_us, limit=PAGE,
    )  # fmt: skip


async def aggregates_from(rest: Rest, symbol: str, aggregate_id: int) -> list[Aggregate]:
    """A page of the aggregates from this one on: `aggregate_id` counts aggregates, not trades."""
    return await rest.get(
        "/api/v3/aggTrades", AGGREGATES_WEIGHT, list[Aggregate], symbol=symbol, fromId=aggregate_id, limit=PAGE
    )
