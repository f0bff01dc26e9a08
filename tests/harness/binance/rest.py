"""The REST side: a request target becomes a status, headers and a body, with the codes of chapter Error Codes."""

import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, NoReturn
from urllib.parse import parse_qsl, urlsplit

from tests.harness.binance.clock import ExchangeClock
from tests.harness.binance.limits import Limits
from tests.harness.binance.market import INTERVALS_S, Market
from tests.harness.binance.sources import ServerTrade

_SYMBOL = re.compile(r"[A-Z0-9_.\u0080-\U0010ffff-]{1,50}")
_TICKER_WEIGHTS = ((20, 2), (100, 40))
_DAY_US = 86_400_000_000


class Answer(NamedTuple):
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: str


class _RefusedError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class RestSide:
    """Answers queries about `markets`.

    The next `failures` requests get HTTP 500. While `refusal` is set, it is the answer to all requests whose path ends
    in one of `refused`.
    """

    def __init__(self, markets: Mapping[str, Market], clock: ExchangeClock, limits: Limits) -> None:
        self._markets = markets
        self._clock = clock
        self._limits = limits
        self.failures = 0
        self.refusal: Answer | None = None
        self.refused: tuple[str, ...] = ()
        self.requests: list[tuple[str, dict[str, str]]] = []
        """Path and query of every request, oldest first."""
        self._endpoints: dict[str, tuple[Callable[[dict[str, str]], int], Callable[..., Any], set[str]]] = {
            "/api/v3/ping": (lambda _: 1, lambda *_: {}, set()),
            "/api/v3/time": (lambda _: 1, self._time, set()),
            "/api/v3/exchangeInfo": (lambda _: 20, self._exchange_info, {"symbol", "symbols", "showPermissionSets"}),
            "/api/v3/trades": (lambda _: 25, self._trades, {"symbol", "limit"}),
            "/api/v3/historicalTrades": (lambda _: 25, self._historical, {"symbol", "limit", "fromId"}),
            "/api/v3/aggTrades": (
                lambda _: 4, self._aggregates, {"symbol", "limit", "fromId", "startTime", "endTime"},
            ),
            "/api/v3/klines": (
                lambda _: 2, self._klines, {"symbol", "limit", "interval", "startTime", "endTime", "timeZone"},
            ),
            "/api/v3/ticker/24hr": (_ticker_weight, self._tickers, {"symbol", "symbols", "type"}),
        }  # fmt: skip

    def answer(self, target: str, headers: Mapping[str, str]) -> Answer:
        """Return the answer to a GET of `target`."""
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        self.requests.append((url.path, query))
        if url.path not in self._endpoints:
            return Answer(404, {}, "<html>404 Not found</html>")
        weigh, endpoint, known = self._endpoints[url.path]
        verdict = self._limits.spend(weigh(query))
        if verdict is not None:
            wait = {"Retry-After": str(verdict.retry_after_s)}
            return Answer(verdict.status, wait, json.dumps({"code": -1003, "msg": verdict.message}))
        used = {"X-MBX-USED-WEIGHT-1M": str(self._limits.used)}
        if self.refusal is not None and url.path.endswith(self.refused):
            return self.refusal
        if self.failures:
            self.failures -= 1
            return Answer(500, used, json.dumps({"code": -1000, "msg": "An unknown error occurred."}))
        try:
            if not query.keys() <= known:
                _refuse(-1101, f"Too many parameters; expected '{len(known)}' and received '{len(query)}'.")
            unit = headers.get("X-MBX-TIME-UNIT", "MILLISECOND").upper()
            scale = 1 if unit == "MICROSECOND" else 1000
            return Answer(HTTPStatus.OK, used, json.dumps(endpoint(query, scale)))
        except _RefusedError as error:
            return Answer(400, used, json.dumps({"code": error.code, "msg": str(error)}))

    def _time(self, _: dict[str, str], scale: int) -> Any:
        return {"serverTime": self._clock.reported_us() // scale}

    def _exchange_info(self, query: dict[str, str], scale: int) -> Any:
        if "symbol" in query and "symbols" in query:
            _refuse(-1128, "Combination of optional parameters invalid.")
        markets = [self._market(query)] if "symbol" in query else self._named(query)
        return {
            "timezone": "UTC",
            "serverTime": self._clock.reported_us() // scale,
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self._limits.limit}
            ],
            "exchangeFilters": [],
            "symbols": [_listing(market) for market in markets],
        }

    def _trades(self, query: dict[str, str], scale: int) -> Any:
        market = self._market(query)
        return [_trade(trade, scale) for trade in market.newest(_limit(query))]

    def _historical(self, query: dict[str, str], scale: int) -> Any:
        market, from_id = self._market(query), _number(query, "fromId")
        found = market.newest(_limit(query)) if from_id is None else market.from_id(from_id, _limit(query))
        return [_trade(trade, scale) for trade in found]

    def _aggregates(self, query: dict[str, str], scale: int) -> Any:
        market = self._market(query)
        from_id, start_us, end_us = _number(query, "fromId"), _time_us(query, "startTime"), _time_us(query, "endTime")
        if from_id is not None and (start_us is not None or end_us is not None):
            _refuse(-1128, "Combination of optional parameters invalid.")
        return [
            {
                "a": found.id, "p": found.price, "q": found.quantity, "f": found.first_id, "l": found.last_id,
                "T": found.time_us // scale, "m": found.buyer_is_maker, "M": True,
            }
            for found in market.find_aggregates(from_id, start_us, end_us, _limit(query))
        ]  # fmt: skip

    def _klines(self, query: dict[str, str], scale: int) -> Any:
        market, interval = self._market(query), query.get("interval", "")
        if interval not in INTERVALS_S:
            _refuse(-1120, "Invalid interval.")
        found = market.klines(interval, _time_us(query, "startTime"), _time_us(query, "endTime"), _limit(query))
        return [[row[0] // scale, *row[1:6], row[6] // scale, *row[7:]] for row in found]

    def _tickers(self, query: dict[str, str], scale: int) -> Any:
        markets = [self._market(query)] if "symbol" in query else self._named(query)
        now_us = self._clock.reported_us()
        found = [_ticker(market, now_us, scale) for market in markets]
        return found[0] if "symbol" in query else found

    def _named(self, query: dict[str, str]) -> list[Market]:
        if "symbols" not in query:
            return list(self._markets.values())
        try:
            names = json.loads(query["symbols"])
        except ValueError:
            names = None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            _refuse(-1100, "Illegal characters found in parameter 'symbols'.")
        return [self._market({"symbol": name}) for name in names]

    def _market(self, query: dict[str, str]) -> Market:
        name = query.get("symbol", "")
        if not name:
            _refuse(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if not _SYMBOL.fullmatch(name):
            _refuse(-1100, "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'.")
        if name not in self._markets:
            _refuse(-1121, "Invalid symbol.")
        return self._markets[name]


def _refuse(code: int, message: str) -> NoReturn:
    raise _RefusedError(code, message)


def _ticker_weight(query: dict[str, str]) -> int:
    count = 1 if "symbol" in query else query["symbols"].count(",") + 1 if "symbols" in query else 1000
    return next((weight for most, weight in _TICKER_WEIGHTS if count <= most), 80)


def _number(query: dict[str, str], name: str) -> int | None:
    if name not in query:
        return None
    if not query[name].isdigit():
        _refuse(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(query[name])


def _time_us(query: dict[str, str], name: str) -> int | None:
    number = _number(query, name)
    return number * 1000 if number is not None and number < 10**14 else number


def _limit(query: dict[str, str]) -> int:
    limit = _number(query, "limit")
    if limit == 0:
        _refuse(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(500 if limit is None else limit, 1000)


def _trade(trade: ServerTrade, scale: int) -> dict[str, Any]:
    return {
        "id": trade.id, "price": trade.price, "qty": trade.quantity, "quoteQty": "0.00000000",
        "time": trade.time_us // scale, "isBuyerMaker": trade.buyer_is_maker, "isBestMatch": True,
    }  # fmt: skip


def _ticker(market: Market, now_us: int, scale: int) -> dict[str, Any]:
    trades = market.since(now_us - _DAY_US)
    return {
        "symbol": market.symbol,
        "lastPrice": market.trades[-1].price if market.trades else "0.00000000",
        "openTime": (now_us - _DAY_US) // scale,
        "closeTime": now_us // scale,
        "firstId": trades[0].id if trades else -1,
        "lastId": trades[-1].id if trades else -1,
        "count": len(trades),
    }


def _listing(market: Market) -> dict[str, Any]:
    return {
        "symbol": market.symbol,
        "status": market.status,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": market.tick, "maxPrice": "1000000.0", "tickSize": market.tick},
            {"filterType": "LOT_SIZE", "minQty": market.step, "maxQty": "9000.0", "stepSize": market.step},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000"},
        ],
    }
