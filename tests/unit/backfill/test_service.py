"""Backfill in virtual time, against an exchange whose history does what a test says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import fields

import pytest
from marketstream.backfill import attempts, pages, service
from marketstream.backfill.attempts import PATIENCE_S
from marketstream.backfill.service import QUIET_MARGIN_US, Backfill
from marketstream.exchanges.base import ExchangeError, Newest, UnusableError
from marketstream.exchanges.simulator import Simulator
from marketstream.market.counted import Run
from marketstream.market.progress import Progress
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_US
from marketstream.processor import symbol
from marketstream.processor.symbol import OwnedSymbol
from marketstream.settings import Settings
from marketstream.stores.writer import Key
from marketstream.streams.publisher import Publisher
from structlog.testing import capture_logs

from tests.model import MemoryStore
from tests.scenarios import EPOCH, PRICE_SCALE, QUANTITY_SCALE
from tests.unit.backfill.virtual import VirtualClock, now_us, seconds_until, virtually
from tests.unit.processor.owners import apply, counted, owner, record

FIRST, OTHER = Key("simulator", "FIRST"), Key("simulator", "OTHER")
PAGE = 10
QUIET_S = 30.0
STRAY = 500_000


@pytest.fixture(autouse=True)
def virtual_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of all that takes part."""
    for module in (attempts, pages, service, symbol):
        monkeypatch.setattr(module, "time", VirtualClock)


def trade(trade_id: int, after_s: float | None = None) -> Trade:
    """A trade some seconds after EPOCH: a tenth for each id, where nothing else is said."""
    time_us = EPOCH + int((trade_id / 10 if after_s is None else after_s) * 1e6)
    return Trade(trade_id, 1, time_us, 100, 5, taker_buy=True)


class Exchange(Simulator):
    """Has the trades that it is given, in pages of PAGE."""

    def __init__(self, trades: Iterable[Trade] = (), symbols: Iterable[str] = (FIRST.symbol,)) -> None:
        super().__init__(1)
        known = {trade.id: trade for trade in trades}
        self.trades = {name: dict(known) for name in symbols}
        self.broken: set[str] = set()
        self.refused: set[str] = set()
        self.behind_us = 0
        """By how much its clock is behind."""
        self.says_newest = False
        """Whether it says what is newest even of symbols whose history is broken."""
        self.asked: list[tuple[str, int]] = []
        self.asked_newest = 0

    async def history(self, symbol: str, first_id: int, last_id: int, **_hints: int | None) -> Trades | None:
        self.asked.append((symbol, first_id))
        await asyncio.sleep(0.1)
        if symbol in self.broken:
            raise ExchangeError("no answer")
        if symbol in self.refused:
            raise UnusableError("no such symbol")
        known = self.trades[symbol]
        page = [known[trade_id] for trade_id in sorted(known) if first_id <= trade_id <= last_id][:PAGE]
        return Trades.of(page, PRICE_SCALE, QUANTITY_SCALE) if page else None

    async def newest(self, symbol: str) -> Newest | None:
        self.asked_newest += 1
        await asyncio.sleep(0.1)
        if symbol in self.broken and not self.says_newest:
            raise ExchangeError("no answer")
        highest = max(self.trades[symbol])
        return Newest(highest, now_us() - self.behind_us)


class Topics:
    """Takes what is published and counts it at once."""

    def __init__(self, *owned: OwnedSymbol) -> None:
        self._owned = {symbol.topic: symbol for symbol in owned}

    async def send(self, topic: str, value: bytes) -> "asyncio.Future[bool]":
        apply(self._owned[topic], value)
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        answer.set_result(True)
        return answer


def known(key: Key = FIRST) -> OwnedSymbol:
    """A symbol of which trade 0 is stored."""
    return owner(key, Progress(closed_until=EPOCH // WINDOW_US, counted=(Run(0, 0, EPOCH - 1, EPOCH - 1),)))


def hear(owned: OwnedSymbol, *trades: Trade) -> None:
    """The feed brings these."""
    apply(owned, record(*trades, key=owned.key))


@contextlib.asynccontextmanager
async def backfilled(exchange: Exchange, *owned: OwnedSymbol, quiet_s: float = QUIET_S) -> AsyncIterator[list[float]]:
    """Backfill runs in this block; gives the times at which it said that a verdict has changed."""
    verdicts: list[float] = []
    publisher: Publisher = Topics(*owned)  # type: ignore[assignment]
    backfill = Backfill(exchange, publisher, lambda: owned, lambda: verdicts.append(VirtualClock.monotonic()), quiet_s)
    task = asyncio.create_task(backfill.run())
    try:
        yield verdicts
        assert not task.done(), "backfill has ended"
    finally:
        task.cancel()
        await asyncio.wait([task])


def is_whole(owned: OwnedSymbol) -> bool:
    return len(owned.ledger.counted) == 1


@virtually
async def test_a_history_that_never_answers_keeps_no_other_symbol_waiting() -> None:
    first, other = known(), known(OTHER)
    exchange = Exchange(map(trade, range(300)), (FIRST.symbol, OTHER.symbol))
    exchange.broken.add(FIRST.symbol)
    hear(first, trade(290))  # the newest hole of all
    hear(other, trade(200))
    async with backfilled(exchange, first, other):
        await seconds_until(lambda: is_whole(other), 20)
        assert not is_whole(first)
        await asyncio.sleep(2 * PATIENCE_S)
        assert not first.ledger.unfillable()
        exchange.broken.clear()
        await seconds_until(lambda: is_whole(first), 200)


@virtually
async def test_nothing_is_given_up_below_a_stray_id_and_holes_after_it_are_filled() -> None:
    owned, exchange = known(), Exchange(map(trade, range(20)))
    hear(owned, *map(trade, range(1, 20)), trade(STRAY, 2))
    async with backfilled(exchange, owned) as verdicts:
        await asyncio.sleep(5 * PATIENCE_S)
        assert list(owned.ledger.holes()) == [(20, STRAY - 1)]
        exchange.trades[FIRST.symbol] |= {trade_id: trade(trade_id, 301) for trade_id in range(20, 61)}
        hear(owned, *(trade(trade_id, 301) for trade_id in (20, 21, 40, 41, 60)))
        assert (22, 39) in owned.ledger.holes()
        await seconds_until(lambda: counted(owned) == [(0, 60), (STRAY, STRAY)], 100)
        assert not verdicts
        assert not owned.ledger.unfillable()


@virtually
async def test_below_a_stray_id_only_what_the_exchange_has_come_to_is_given_up() -> None:
    owned, exchange = known(), Exchange(map(trade, range(20)))
    exchange.trades[FIRST.symbol] |= {24: trade(24)}
    hear(owned, *map(trade, range(1, 20)), trade(STRAY, 2))
    async with backfilled(exchange, owned):
        await seconds_until(owned.ledger.unfillable, 3 * PATIENCE_S)
        assert owned.ledger.unfillable() == ((20, 23),)
        exchange.trades[FIRST.symbol] |= {trade_id: trade(trade_id) for trade_id in range(25, 40)}
        await seconds_until(lambda: counted(owned) == [(0, 19), (24, 39), (STRAY, STRAY)], 3 * PATIENCE_S)
        assert owned.ledger.unfillable() == ((20, 23),)


@virtually
async def test_an_old_hole_is_filled_although_the_market_goes_on_below_a_stray_id() -> None:
    """Every trade that is heard is another begin of the hole below the stray id, and so a hole never tried before."""
    owned, exchange = known(), Exchange(map(trade, range(2_000)))
    hear(owned, trade(5), trade(6, 2), trade(STRAY, 3))
    async with backfilled(exchange, owned):
        for trade_id in range(7, 607):
            exchange.trades[FIRST.symbol] = {number: trade(number) for number in range(trade_id + 1)}
            hear(owned, trade(trade_id))
            await asyncio.sleep(0.05)
        assert counted(owned)[0] == (0, 606), "half a minute was enough"


@virtually
async def test_an_impossible_trade_is_left_out_and_those_around_it_count() -> None:
    owned, exchange = known(), Exchange(map(trade, range(20)))
    exchange.trades[FIRST.symbol] |= {5: trade(5, -1e9), 14: trade(14, 1e9)}
    hear(owned, trade(20))
    async with backfilled(exchange, owned):
        at_s = await seconds_until(lambda: counted(owned) == [(0, 4), (6, 13), (15, 20)], 10)
        await seconds_until(lambda: owned.ledger.unfillable() == ((5, 5), (14, 14)), 3 * PATIENCE_S)
        assert VirtualClock.monotonic() - at_s >= PATIENCE_S - 5


@pytest.mark.parametrize("lacks", [range(1, 10), range(1, 5), range(5, 10)], ids=["all", "its begin", "its end"])
@virtually
async def test_what_the_history_lacks_is_given_up_after_the_patience_and_not_before(lacks: range) -> None:
    owned, exchange = known(), Exchange(trade(trade_id) for trade_id in range(11) if trade_id not in lacks)
    hear(owned, trade(10))
    async with backfilled(exchange, owned) as verdicts:
        at_s = await seconds_until(owned.ledger.unfillable, 3 * PATIENCE_S)
        assert PATIENCE_S <= at_s <= 2.5 * PATIENCE_S
        assert owned.ledger.unfillable() == ((lacks[0], lacks[-1]),)
        assert len(verdicts) == 1
        asked = len(exchange.asked)
        await asyncio.sleep(5 * PATIENCE_S)
        assert len(exchange.asked) == asked, "never again"
        assert not list(owned.ledger.holes())


@virtually
async def test_a_history_that_lags_by_less_than_the_patience_loses_nothing() -> None:
    owned, exchange = known(), Exchange([trade(0), trade(10)])
    hear(owned, trade(10))
    async with backfilled(exchange, owned) as verdicts:
        await asyncio.sleep(PATIENCE_S - 1)
        exchange.trades[FIRST.symbol] = {number: trade(number) for number in range(11)}
        await seconds_until(lambda: is_whole(owned), 2 * PATIENCE_S)
        assert not verdicts


@pytest.mark.parametrize("says_newest", [False, True])
@virtually
async def test_an_outage_longer_than_the_patience_gives_nothing_up(says_newest: bool) -> None:
    owned, exchange = known(), Exchange(map(trade, range(30)))
    exchange.says_newest = says_newest
    exchange.broken.add(FIRST.symbol)
    hear(owned, trade(25))
    async with backfilled(exchange, owned) as verdicts:
        await asyncio.sleep(10 * PATIENCE_S)
        assert len(exchange.asked) > 5
        exchange.broken.clear()
        await seconds_until(lambda: is_whole(owned), 3 * PATIENCE_S)
        assert not verdicts


@virtually
async def test_the_patience_does_not_run_while_the_exchange_is_out() -> None:
    """The history lags before an outage, and for a second after it."""
    owned, exchange = known(), Exchange([trade(0), trade(10)])
    hear(owned, trade(10))
    async with backfilled(exchange, owned) as verdicts:
        await seconds_until(lambda: exchange.asked, 5)
        await asyncio.sleep(0.2)
        exchange.broken.add(FIRST.symbol)
        await asyncio.sleep(10 * PATIENCE_S)
        exchange.broken.clear()
        asked = len(exchange.asked)
        await seconds_until(lambda: len(exchange.asked) > asked + 1 or verdicts, 3 * PATIENCE_S)
        exchange.trades[FIRST.symbol] = {number: trade(number) for number in range(11)}
        await seconds_until(lambda: is_whole(owned) or verdicts, 3 * PATIENCE_S)
        assert not verdicts


@virtually
async def test_a_feed_that_died_silently_is_made_up_for_in_one_go() -> None:
    owned, exchange = known(), Exchange(map(trade, range(20 * PAGE)))
    hear(owned, *map(trade, range(1, 6)))
    async with backfilled(exchange, owned):
        at_s = await seconds_until(lambda: counted(owned) == [(0, 20 * PAGE - 1)], 2 * QUIET_S)
        assert QUIET_S <= at_s <= QUIET_S + 10
        assert exchange.asked_newest == 1
        assert not owned.backfilling


@virtually
async def test_a_quiet_market_is_proven_quiet_and_its_windows_are_closed() -> None:
    owned, exchange, store = known(), Exchange(map(trade, range(5))), MemoryStore()
    hear(owned, *(trade(trade_id, 4.0 * trade_id) for trade_id in range(1, 5)))
    async with backfilled(exchange, owned):
        await asyncio.sleep(2 * QUIET_S + 5)
    store.apply(owned.take().commit)
    proven_us = now_us() - QUIET_MARGIN_US - int((QUIET_S + 1) * 1e6)
    assert exchange.asked_newest == 2
    assert not exchange.asked
    assert owned.ledger.closed_until >= proven_us // WINDOW_US
    reasons = {window - EPOCH // WINDOW_US: reason for window, reason in store.reasons.items()}
    assert reasons == {0: None, 1: None}
    assert {window - EPOCH // WINDOW_US for window in store.empty} >= {2}


class InAggregates(Exchange):
    """Has the trades from id 6 on as aggregates of three, and none that begins before what is asked for."""

    def __init__(self) -> None:
        super().__init__(map(trade, range(66)))
        self.hints: list[tuple[int, int | None, int | None]] = []

    async def history(self, symbol: str, first_id: int, last_id: int, **hints: int | None) -> Trades | None:
        await super().history(symbol, first_id, last_id)
        self.hints.append((first_id, hints["after_us"], hints["before_us"]))
        page = [trade(number)._replace(n=3) for number in range(6, 66, 3) if number >= first_id]
        return Trades.of(page[:PAGE], PRICE_SCALE, QUANTITY_SCALE) if page else None


@virtually
async def test_what_a_dead_feed_missed_is_asked_for_from_behind_the_last_aggregate_on_and_from_its_time_on() -> None:
    owned, exchange = known(), InAggregates()
    hear(owned, *map(trade, range(1, 6)))
    async with backfilled(exchange, owned):
        await seconds_until(lambda: counted(owned) == [(0, 65)], 2 * QUIET_S)
    assert [(first, after) for first, after, _ in exchange.hints] == [(6, trade(5).time), (36, trade(33).time)]
    assert all(before is not None and before >= trade(65).time for _, _, before in exchange.hints)


@virtually
async def test_an_impossible_time_is_no_hint_to_what_follows() -> None:
    owned, exchange = known(), InAggregates()
    hear(owned, *map(trade, range(1, 6)))
    plain = exchange.history

    async def history(symbol: str, first_id: int, last_id: int, **hints: int | None) -> Trades | None:
        page = await plain(symbol, first_id, last_id, **hints)
        assert page is not None
        page.times[-1] += 10**13 if first_id == 6 else 0
        return page

    exchange.history = history  # type: ignore[method-assign]
    async with backfilled(exchange, owned):
        await seconds_until(lambda: (36, 65) in counted(owned), 2 * QUIET_S)
    assert exchange.hints[1][1:] == (exchange.hints[1][2],) * 2


@virtually
async def test_an_exchange_whose_clock_is_behind_is_not_asked_for_an_end_before_the_begin() -> None:
    owned, exchange = known(), InAggregates()
    hear(owned, *map(trade, range(1, 6)))
    exchange.behind_us = 3_600_000_000
    async with backfilled(exchange, owned):
        await seconds_until(lambda: counted(owned) == [(0, 65)], 2 * QUIET_S)
    assert all(after is not None and before is not None and after <= before for _, after, before in exchange.hints)


def early(trade_id: int) -> Trade:
    """A trade of a market whose tenth is the first of a window."""
    return trade(trade_id, (trade_id - 10) / 10)


def begun(key: Key) -> OwnedSymbol:
    """A symbol that was never seen before, of which trade 50 is heard."""
    owned = owner(key)
    hear(owned, early(50))
    return owned


def begin_is_proven(owned: OwnedSymbol) -> bool:
    return owned.ledger.counted.runs[0].first_proven == EPOCH // WINDOW_US


@virtually
async def test_a_beginning_that_fails_keeps_no_other_waiting_and_is_reached_later() -> None:
    first, other = begun(FIRST), begun(OTHER)
    exchange = Exchange(map(early, range(51)), (FIRST.symbol, OTHER.symbol))
    exchange.broken.add(FIRST.symbol)
    async with backfilled(exchange, first, other):
        await seconds_until(lambda: begin_is_proven(other), 5)
        assert not begin_is_proven(first)
        asked = len(exchange.asked)
        await asyncio.sleep(20)
        assert 1 <= len(exchange.asked) - asked <= 8, "later and later"
        exchange.broken.clear()
        await seconds_until(lambda: begin_is_proven(first), 100)


@virtually
async def test_beginnings_that_all_fail_take_turns() -> None:
    owned = [begun(Key("simulator", name)) for name in ("ONE", "TWO", "THREE")]
    exchange = Exchange([trade(0)], [symbol.symbol for symbol in owned])
    exchange.broken = {symbol.symbol for symbol in owned}
    async with backfilled(exchange, *owned):
        await asyncio.sleep(200)
    asked = [symbol for symbol, _ in exchange.asked]
    assert max(map(asked.count, exchange.broken)) - min(map(asked.count, exchange.broken)) <= 1


@virtually
async def test_a_beginning_that_the_exchange_refuses_is_given_up_and_said_once() -> None:
    first, other = begun(FIRST), begun(OTHER)
    exchange = Exchange(map(early, range(51)), (FIRST.symbol, OTHER.symbol))
    exchange.refused.add(FIRST.symbol)
    with capture_logs() as lines:
        async with backfilled(exchange, first, other):
            await seconds_until(lambda: begin_is_proven(other), 5)
            await asyncio.sleep(3 * PATIENCE_S)
    assert [symbol for symbol, _ in exchange.asked].count(FIRST.symbol) == 1
    assert [line["symbol"] for line in lines if "beginning" in line["event"]] == [FIRST.symbol]
    assert not begin_is_proven(first), "its window stays unconfirmed"


@virtually
async def test_a_quiet_market_is_never_stale_at_the_least_age_that_the_settings_take() -> None:
    (max_age_s,) = (field.metadata["least"] for field in fields(Settings) if field.name == "max_age_s")
    owned, exchange = known(), Exchange(map(trade, range(5)))
    hear(owned, *map(trade, range(1, 5)))
    ages_s = []
    async with backfilled(exchange, owned, quiet_s=max_age_s / 2):
        for _ in range(300):
            await asyncio.sleep(1)
            newest = owned.ledger.newest_run()
            assert newest is not None
            ages_s.append((now_us() - newest.high_time) / 1_000_000)
    assert max(ages_s) <= max_age_s - 3, "an answer takes its time, too"
