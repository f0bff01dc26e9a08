import httpx
import pytest
from marketstream.exchanges.binance import endpoints
from marketstream.exchanges.errors import HistoryUnavailableError, RateLimitedError, RequestRefusedError

from tests.harness.binance.sources import ServerTrade
from tests.unit.exchanges.binance.rest_sides import Case

TRADE = ServerTrade(7, 1_790_000_000_000_000, "1.00000000", "2.00000000", buyer_is_maker=True)


@pytest.mark.parametrize(
    "bad",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout(""),
        httpx.Response(500, text='{"code":-1000,"msg":"An unknown error occurred."}'),
        httpx.Response(502, text="<html>"),
        httpx.Response(408, text='{"code":-1007,"msg":"Timeout waiting for response from backend server."}'),
        httpx.Response(200, text='{"serverTime":'),
        httpx.Response(200, text='[{"id":"7"}]'),
    ],
)
async def test_a_transient_error_is_retried_a_limited_number_of_times(bad: httpx.Response | Exception) -> None:
    case = Case([TRADE])
    case.answers = [bad, bad]
    newest = await endpoints.newest_trade(case.rest, "BTCUSDT")
    assert newest is not None
    assert newest.id == 7
    case.answers = [bad] * 3
    with pytest.raises(HistoryUnavailableError, match="gave no valid answer in 3 attempts"):
        await endpoints.newest_trade(case.rest, "BTCUSDT")


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (httpx.Response(429, headers={"Retry-After": "17"}, text="{}"), 17),
        (httpx.Response(429, text="slow down"), 30),
        (httpx.Response(418, headers={"Retry-After": "45"}, text="{}"), 45),
    ],
)
async def test_requests_pause_as_long_as_the_exchange_demands(answer: httpx.Response, seconds: int) -> None:
    case = Case([TRADE])
    case.answers = [answer]
    begun_us = case.time.us
    await endpoints.newest_trade(case.rest, "BTCUSDT")
    assert seconds <= (case.time.us - begun_us) / 1_000_000 <= seconds * 1.2 + 1


async def test_a_long_ban_is_an_error_that_says_until_when() -> None:
    case = Case([TRADE])
    case.answers = [httpx.Response(418, headers={"Retry-After": "7200"}, text="{}")]
    for _ in range(2):
        with pytest.raises(RateLimitedError, match="ordered a stop") as limited:
            await endpoints.newest_trade(case.rest, "BTCUSDT")
        assert limited.value.retry_after_s == pytest.approx(7200, rel=0.01)
    assert case.side.requests == []


async def test_requests_pause_as_long_as_a_block_by_the_firewall_usually_lasts() -> None:
    case = Case([TRADE])
    case.answers = [httpx.Response(403, text="<html>Forbidden")]
    for _ in range(2):
        with pytest.raises(RateLimitedError, match="ordered a stop") as limited:
            await endpoints.newest_trade(case.rest, "BTCUSDT")
        assert limited.value.retry_after_s == pytest.approx(300, rel=0.01)
    assert case.side.requests == []
    await case.time.sleep(300)
    assert await endpoints.newest_trade(case.rest, "BTCUSDT") is not None


async def test_requests_pause_when_others_have_nearly_used_the_limit() -> None:
    case = Case([TRADE])
    case.limits.spend(5_900)
    await endpoints.newest_trade(case.rest, "BTCUSDT")
    begun_us = case.time.us
    case.limits.used = 0
    await endpoints.newest_trade(case.rest, "BTCUSDT")
    assert case.time.us - begun_us >= 10_000_000


async def test_a_wrong_request_is_not_repeated() -> None:
    case = Case([TRADE])
    with pytest.raises(RequestRefusedError, match="HTTP 400, Invalid symbol") as refused:
        await endpoints.newest_trade(case.rest, "NOPE")
    assert (refused.value.code, len(case.side.requests)) == (-1121, 1)
    case.answers = [httpx.Response(451, text="restricted location")]
    with pytest.raises(RequestRefusedError, match="HTTP 451, restricted location"):
        await endpoints.newest_trade(case.rest, "BTCUSDT")
