"""The endpoints. Each finds the symbol, reads one store and encodes the result."""

import time
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Response

from marketstream.api.candles import candle_of
from marketstream.api.directory import Directory
from marketstream.api.problems import not_found
from marketstream.api.rest.openapi import answers
from marketstream.api.rest.queries import CandlesQuery, NoQuery, SymbolQuery
from marketstream.api.rest.views import Price, Symbol, price_of, symbol_of
from marketstream.market.window import INTERVALS
from marketstream.postgres.reader import CandleRow, StoreReader
from marketstream.redis.errors import LiveStoreContentError, LiveStoreError
from marketstream.redis.hashes import LiveStatus
from marketstream.redis.reader import LiveReader

_encode: Final = msgspec.json.Encoder().encode


def routes(directory: Directory, store_reader: StoreReader, live_reader: LiveReader) -> APIRouter:
    """Return the routes of the public API."""
    router = APIRouter()

    @router.get(
        "/price",
        operation_id="getPrice",
        summary="Newest price of a symbol",
        responses=answers(Price, "The price of the newest trade.", 404, 422, 503),
    )
    async def price(query: Annotated[SymbolQuery, Query()]) -> Response:
        exchange, symbol = await directory.find(query.exchange, query.symbol)
        (status,) = await live_reader.statuses([(exchange, symbol)])
        answer = price_of(exchange, symbol, status)
        if answer is None:
            raise not_found("no-price", "No price yet", f"No trade of {symbol} on {exchange} has been received yet.")
        return _json(answer)

    @router.get(
        "/candles",
        operation_id="getCandles",
        summary="Closed candles of a symbol",
        responses=answers(
            list[CandleRow], "The newest `limit` closed candles between `start` and `end`, oldest first.", 404, 422, 503
        ),
    )
    async def candles(query: Annotated[CandlesQuery, Query()]) -> Response:
        exchange, symbol = await directory.find(query.exchange, query.symbol)
        interval = INTERVALS[query.interval]
        return _json(await store_reader.candles(exchange, symbol, interval, query.start, query.end, query.limit))

    @router.get(
        "/current-candle",
        operation_id="getCurrentCandle",
        summary="Open candle of a symbol",
        responses=answers(CandleRow, "The 10-second candle that is still open.", 404, 422, 503),
    )
    async def current_candle(query: Annotated[SymbolQuery, Query()]) -> Response:
        exchange, symbol = await directory.find(query.exchange, query.symbol)
        (state,) = await live_reader.live([(exchange, symbol)])
        if state.current_candle is None:
            raise not_found("no-open-candle", "No open candle", f"{symbol} on {exchange} has no open candle.")
        return _json(candle_of(state.current_candle))

    @router.get(
        "/symbols",
        operation_id="getSymbols",
        summary="All symbols and the freshness of their data",
        responses=answers(list[Symbol], "Every symbol that was ever processed, sorted by exchange.", 422, 503),
    )
    async def symbols(_query: Annotated[NoQuery, Query()]) -> Response:
        pairs = await directory.all()
        statuses = await live_reader.each_status(pairs)
        now = time.time()
        return _json([symbol_of(*pair, _known(status), now) for pair, status in zip(pairs, statuses, strict=True)])

    return router


def _json(answer: Any) -> Response:
    return Response(_encode(answer), media_type="application/json")


def _known(status: LiveStatus | LiveStoreError | None) -> LiveStatus | None:
    """Return the status, or None for one that no processor wrote: the other symbols must be listed all the same.

    Raises LiveStoreRefusedError, as a status that may not be read is not missing.
    """
    if isinstance(status, LiveStoreContentError):
        return None
    if isinstance(status, LiveStoreError):
        raise status
    return status
