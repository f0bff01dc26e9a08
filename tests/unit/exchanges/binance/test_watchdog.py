from collections.abc import Sequence
from itertools import pairwise

from marketstream.exchanges.base import TradesReceived
from marketstream.exchanges.binance.timing import Timing
from marketstream.exchanges.binance.watchdog import Watchdog
from marketstream.exchanges.errors import ExchangeError, RequestRefusedError
from marketstream.market.trade import Trades
from structlog.testing import capture_logs

from tests.unit.clocks import VirtualTime

TIMING = Timing(stale_s=15, confirm_s=2, most_stale_s=60)


class Case:
    """A watchdog over some symbols, a scripted exchange, and time that is moved by hand."""

    def __init__(self, *symbols: str) -> None:
        self.time = VirtualTime()
        self.newest: dict[str, int] = {}
        self.asked: list[list[str]] = []
        self.silent: list[list[str]] = []
        self.fails = False
        self.unlisted: set[str] = set()
        self.refusal = -1121
        self.arrives_meanwhile: int | None = None
        self.dog = Watchdog(
            symbols or ("A", "B"), self._answer, lambda symbols: self.silent.append(list(symbols)), TIMING,
            now_s=lambda: self.time.us / 1_000_000, sleep=self._sleep,
        )  # fmt: skip

    async def _answer(self, symbols: Sequence[str]) -> dict[str, int]:
        self.asked.append(list(symbols))
        if self.fails:
            raise ExchangeError("away")
        if not self.unlisted.isdisjoint(symbols):
            raise RequestRefusedError("Invalid symbol.", self.refusal)
        return {symbol: self.newest[symbol] for symbol in symbols if symbol in self.newest}

    async def _sleep(self, seconds: float) -> None:
        await self.time.sleep(seconds)
        if self.arrives_meanwhile is not None:
            self.receive("A", self.arrives_meanwhile)

    def receive(self, symbol: str, trade_id: int, traded_us: int | None = None) -> None:
        times = [trade_id if traded_us is None else traded_us]
        self.dog.observe(TradesReceived(symbol, Trades(0, 0, trade_id, times, [1], [1], b"\0"), 1, 1))

    async def check_after(self, seconds: float) -> None:
        await self.time.sleep(seconds)
        await self.dog.check()


async def test_a_symbol_whose_newer_trades_do_not_arrive_is_dead() -> None:
    case = Case()
    case.newest = {"A": 12, "B": 5}
    case.receive("A", 10)
    case.receive("B", 5)
    await case.check_after(14)
    assert case.asked == []
    await case.check_after(1)
    assert (case.asked, case.silent) == ([["A", "B"]], [["A"]])


async def test_without_evidence_a_symbol_is_quiet() -> None:
    case = Case()
    case.receive("A", 10)
    case.newest = {"A": 10}
    await case.check_after(15)
    case.fails = True
    await case.check_after(15)
    assert (len(case.asked), case.silent) == (2, [])


async def test_a_trade_that_was_on_its_way_is_no_evidence() -> None:
    case = Case()
    case.newest, case.arrives_meanwhile = {"A": 11}, 11
    case.receive("A", 10)
    await case.check_after(15)
    assert case.silent == []


async def test_only_trades_after_the_first_check_are_evidence_for_a_symbol_without_trades() -> None:
    case = Case()
    case.newest = {"A": 100}
    await case.check_after(15)
    assert case.silent == []
    case.newest = {"A": 101}
    await case.check_after(15)
    assert case.silent == [["A"]]


async def test_a_dead_symbol_is_reported_again_only_for_newer_trades_and_ever_more_rarely() -> None:
    case = Case()
    case.receive("A", 10)
    case.newest = {"A": 12}
    await case.check_after(15)
    await case.check_after(60)
    assert case.silent == [["A"]]
    case.newest = {"A": 13}
    await case.check_after(60)
    assert case.silent == [["A"], ["A"]]
    before = len(case.asked)
    case.newest = {"A": 14}
    await case.check_after(40)
    assert [symbols for symbols in case.asked[before:] if "A" in symbols] == []
    case.receive("A", 14)
    case.newest = {"A": 15}
    await case.check_after(15)
    assert case.silent == [["A"]] * 3


async def test_a_delisted_symbol_is_found_and_asked_for_more_and_more_rarely() -> None:
    case = Case("A", "B", "C", "D")
    case.receive("A", 10)
    case.unlisted, case.newest = {"C"}, {"A": 12}
    with capture_logs() as lines:
        await case.check_after(15)
        assert (case.asked, case.silent) == ([["A", "B", "C", "D"], ["A", "B"], ["C", "D"], ["C"], ["D"]], [["A"]])
    assert [line["symbol"] for line in lines if "not listed" in line["event"]] == ["C"]
    case.asked.clear()
    await case.check_after(15)
    assert [symbol for asked in case.asked for symbol in asked] == ["B", "D"]
    asked_at = []
    for quarter_of_an_hour in range(4 * 24 * 7):
        case.asked.clear()
        await case.check_after(900)
        if ["C"] in case.asked:
            asked_at.append(quarter_of_an_hour)
    pauses = [after - before for before, after in pairwise(asked_at)]
    assert 10 < len(asked_at) < 30, "neither without end nor never"
    assert max(pauses) <= 4 * 24 + 1, "once a day at least"
    assert pauses[-1] > 4 * 20
    case.receive("C", 1)
    case.unlisted = set()
    case.asked.clear()
    await case.check_after(15)
    assert "C" in case.asked[0]
    assert len(case.asked) == 1


async def test_a_refusal_for_another_reason_skips_no_symbol() -> None:
    case = Case()
    case.unlisted, case.refusal = {"A"}, 0
    await case.check_after(15)
    await case.check_after(15)
    assert case.asked == [["A", "B"]] * 2


async def test_a_symbol_is_watched_after_its_ids_have_begun_again() -> None:
    case = Case()
    case.receive("A", 1_000, traded_us=5_000)
    case.receive("A", 3, traded_us=6_000)
    case.receive("A", 1_000, traded_us=5_000)
    case.newest = {"A": 3}
    await case.check_after(15)
    assert case.silent == [], "the second connection repeated an old trade"
    case.newest = {"A": 4}
    await case.check_after(15)
    assert case.silent == [["A"]]
