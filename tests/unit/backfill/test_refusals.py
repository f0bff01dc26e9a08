"""A refusal, a silence or a guess is never a proof that the exchange lacks trades; in virtual time."""

import asyncio
from types import SimpleNamespace

import pytest
from marketstream.backfill import pages, service
from marketstream.backfill.attempts import PATIENCE_S
from marketstream.exchanges.base import Newest
from marketstream.exchanges.errors import PermanentError, UnknownSymbolError
from structlog.testing import capture_logs

from tests.unit.backfill.world import FIRST, OTHER, Exchange, backfilled, hear, is_whole, known, trade
from tests.unit.virtual import VirtualClock, seconds_until, virtually

DAY_S = 86_400.0


@pytest.fixture(autouse=True)
def rare_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days pass here: checks for work every 0.2 s would take minutes."""
    monkeypatch.setattr(service, "CHECK_S", 20.0)


class Delisted(Exchange):
    """Does not list the symbols that it refuses."""

    async def newest(self, symbol: str) -> Newest | None:
        if symbol in self.refused:
            self.asked_newest += 1
            raise UnknownSymbolError("not listed", (symbol,))
        return await super().newest(symbol)


class Refusing(Exchange):
    """Refuses to say what is newest of the symbols that it refuses, too."""

    async def newest(self, symbol: str) -> Newest | None:
        if symbol in self.refused:
            self.asked_newest += 1
            raise PermanentError("no such symbol")
        return await super().newest(symbol)


@virtually
async def test_what_is_refused_is_not_given_up_and_filled_when_it_is_answered() -> None:
    owned, exchange = known(), Refusing(map(trade, range(30)))
    exchange.refused.add(FIRST.symbol)
    hear(owned, trade(25))
    async with backfilled(exchange, owned):
        await asyncio.sleep(3 * PATIENCE_S)
        assert owned.ledger.unfillable() == ()
        assert list(owned.ledger.holes()) == [(1, 24)]
        exchange.refused.clear()
        await asyncio.sleep(2 * DAY_S)
        assert is_whole(owned)


@virtually
async def test_what_is_always_refused_is_asked_for_about_once_a_day_and_says_why() -> None:
    owned, exchange = known(), Refusing(map(trade, range(30)))
    exchange.refused.add(FIRST.symbol)
    hear(owned, trade(25))
    with capture_logs() as lines:
        async with backfilled(exchange, owned):
            await asyncio.sleep(7 * DAY_S)
            asked = len(exchange.asked), exchange.asked_newest
            await asyncio.sleep(7 * DAY_S)
            more = len(exchange.asked) - asked[0], exchange.asked_newest - asked[1]
    assert asked[0] < 30
    assert asked[1] < 30
    assert 6 <= more[0] <= 8, "neither without end nor never"
    assert 6 <= more[1] <= 8
    assert owned.ledger.unfillable() == ()
    said = [line for line in lines if line["event"] == "request for missing trades refused, will retry"]
    assert {line["error"] for line in said} == {"no such symbol"}


@virtually
async def test_one_symbol_that_is_refused_delays_no_other() -> None:
    first, other = known(FIRST), known(OTHER)
    exchange = Refusing(map(trade, range(30)), (FIRST.symbol, OTHER.symbol))
    exchange.refused.add(FIRST.symbol)
    hear(first, trade(25))
    hear(other, trade(25))
    async with backfilled(exchange, first, other):
        await seconds_until(lambda: is_whole(other), 60)


@pytest.mark.parametrize("hours", [-2, 2])
@virtually
async def test_a_wrong_local_clock_gives_nothing_up(hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = SimpleNamespace(
        monotonic=VirtualClock.monotonic, time_ns=lambda: VirtualClock.time_ns() + hours * 3_600 * 10**9
    )
    owned, exchange = known(), Exchange(map(trade, range(30)))
    hear(owned, trade(25))
    monkeypatch.setattr(pages, "time", wrong)
    async with backfilled(exchange, owned):
        await asyncio.sleep(3 * PATIENCE_S)
        monkeypatch.setattr(pages, "time", VirtualClock)
        await asyncio.sleep(DAY_S)
    assert owned.ledger.unfillable() == ()
    assert is_whole(owned)


@virtually
async def test_an_exchange_that_has_not_come_beyond_the_trades_proves_nothing() -> None:
    """The history lacks the newest trade of the exchange itself: it lags."""
    owned, exchange = known(), Exchange(map(trade, (0, *range(11, 30))))
    hear(owned, trade(12))

    class Lagging(Exchange):
        async def newest(self, symbol: str) -> Newest | None:  # noqa: ARG002
            return Newest(10, 0)

    lagging = Lagging()
    lagging.trades = exchange.trades
    async with backfilled(lagging, owned):
        await asyncio.sleep(5 * PATIENCE_S)
    assert owned.ledger.unfillable() == ((1, 9),)
    assert list(owned.ledger.holes()) == [(1, 10)]


@virtually
async def test_a_symbol_that_is_not_listed_is_asked_about_more_and_more_rarely_and_said_once() -> None:
    owned, exchange = known(), Delisted(map(trade, range(5)))
    exchange.refused.add(FIRST.symbol)
    hear(owned, *map(trade, range(1, 5)))
    with capture_logs() as lines:
        async with backfilled(exchange, owned):
            await asyncio.sleep(7 * DAY_S)
            asked = exchange.asked_newest
            assert asked < 30
            assert owned.unlisted
            await asyncio.sleep(7 * DAY_S)
            assert 6 <= exchange.asked_newest - asked <= 8, "neither without end nor never"
    assert len([line for line in lines if line["event"] == "symbol not listed by the exchange"]) == 1


@virtually
async def test_a_symbol_that_is_traded_again_is_listed_and_proven_quiet_as_before() -> None:
    owned, exchange = known(), Delisted(map(trade, range(6)))
    exchange.refused.add(FIRST.symbol)
    hear(owned, *map(trade, range(1, 5)))
    async with backfilled(exchange, owned):
        await asyncio.sleep(7 * DAY_S)
        exchange.refused.clear()
        exchange.trades[FIRST.symbol][5] = again = trade(5, 7 * DAY_S)
        hear(owned, again)
        assert not owned.unlisted
        await asyncio.sleep(300)
        assert owned.ledger.counted.runs[-1].high_time > again.time + 200 * 1_000_000
