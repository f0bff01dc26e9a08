"""The queries behind one call, and their weights."""

import httpx
import pytest
from marketstream.exchanges.binance import endpoints
from marketstream.exchanges.errors import RequestRefusedError

from tests.harness.binance.sources import ServerTrade
from tests.unit.exchanges.binance.rest_sides import Case

TIME_US = 1_790_000_000_000_000
TRADE = ServerTrade(7, TIME_US, "1.00000000", "2.00000000", buyer_is_maker=True)


@pytest.mark.parametrize("sent", [TIME_US, TIME_US // 1000])
def test_a_time_in_ms_or_us_becomes_us(sent: int) -> None:
    assert endpoints.microseconds(sent) == TIME_US


async def test_listed_symbols_are_queried_by_name() -> None:
    case = Case([TRADE])
    found = await endpoints.listed(case.rest, ["BTCUSDT"])
    assert found.keys() == {"BTCUSDT"}
    assert [query.get("symbols") for _, query in case.side.requests] == ['["BTCUSDT"]']


async def test_an_unlisted_symbol_causes_a_query_of_the_whole_list() -> None:
    case = Case([TRADE])
    assert (await endpoints.listed(case.rest, ["BTCUSDT", "NOPE"])).keys() == {"BTCUSDT"}
    assert ["symbols" in query for _, query in case.side.requests] == [True, False]


async def test_many_symbols_are_queried_with_the_whole_list() -> None:
    case = Case([TRADE])
    assert (await endpoints.listed(case.rest, ["BTCUSDT", *(f"S{n}USDT" for n in range(100))])).keys() == {"BTCUSDT"}
    assert ["symbols" in query for _, query in case.side.requests] == [False]


async def test_a_refusal_for_another_reason_is_raised() -> None:
    case = Case([TRADE])
    case.answers = [httpx.Response(400, text='{"code":-1101,"msg":"Too many parameters."}')]
    with pytest.raises(RequestRefusedError, match="Too many parameters"):
        await endpoints.listed(case.rest, ["BTCUSDT"])


async def test_newest_ids_cost_little() -> None:
    case = Case([TRADE])
    assert await endpoints.newest_ids(case.rest, ["BTCUSDT"]) == {"BTCUSDT": 7}
    assert case.limits.used == 2


async def test_newest_ids_are_queried_for_20_symbols_at_a_time() -> None:
    case = Case([TRADE])
    names = [f"S{number}USDT" for number in range(45)]
    case.answers = [
        httpx.Response(200, json=[{"symbol": name, "lastId": number} for number, name in chunk])
        for chunk in (list(enumerate(names))[start : start + 20] for start in (0, 20, 40))
    ]
    assert await endpoints.newest_ids(case.rest, names) == {name: number for number, name in enumerate(names)}
    assert case.answers == []


async def test_a_symbol_without_trades_in_the_last_day_costs_a_second_query() -> None:
    case = Case([TRADE])
    case.answers = [httpx.Response(200, json=[{"symbol": "BTCUSDT", "lastId": -1}])]
    assert await endpoints.newest_id(case.rest, "BTCUSDT") == 7
    assert case.paths == ["trades"]


async def test_a_symbol_that_was_never_traded_has_no_newest_id() -> None:
    assert await endpoints.newest_id(Case([]).rest, "BTCUSDT") is None
