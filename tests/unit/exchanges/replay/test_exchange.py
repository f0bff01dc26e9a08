import math
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from marketstream.exchanges.base import ClockAdvanced, ConnectionAlive, FeedEvent, Newest, TradesReceived
from marketstream.exchanges.errors import RecordingError, UnknownSymbolError
from marketstream.exchanges.refusals import REFUSED
from marketstream.exchanges.replay.exchange import MOST_TRADES, Replay, symbol_of
from marketstream.market.trade import Trade
from marketstream.settings import SettingsError

from tests.harness.samples import sample
from tests.unit.clocks import VirtualTime

FIRST, LAST = 553287559, 553289559
FIRST_US, LAST_US = 1610064000278000, 1610064046355000
HEADER = "id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch\n"


@pytest.fixture
def recording(recordings: Path) -> Path:
    return recordings / "binance-BTCUSDT-trades-2021-01-08.csv"


@pytest.fixture
def text(recording: Path) -> str:
    return recording.read_text()


async def events(replay: Replay) -> list[FeedEvent]:
    return [event async for event in replay.feed([replay.symbol])]


def trades_of(heard: Sequence[FeedEvent]) -> list[Trade]:
    return [trade for event in heard if isinstance(event, TradesReceived) for trade in event.trades]


def refused(reason: str) -> float:
    return sample(REFUSED, reason=reason)


async def test_the_feed_yields_the_whole_recording_and_ends(recording: Path) -> None:
    heard = await events(Replay(recording, speed=math.inf))
    trades = trades_of(heard)
    assert [trade.id for trade in trades] == list(range(FIRST, LAST + 1))
    assert trades[0] == Trade(FIRST, 1, FIRST_US, 3943248, 263, taker_buy=False)
    assert heard[-1] == ClockAdvanced("BTCUSDT", LAST_US)
    scales = {(e.trades.price_scale, e.trades.quantity_scale) for e in heard if isinstance(e, TradesReceived)}
    assert scales == {(2, 6)}
    assert all(len(event.trades) <= MOST_TRADES for event in heard if isinstance(event, TradesReceived))


async def test_the_form_of_the_file_makes_no_difference(recording: Path, text: str, tmp_path: Path) -> None:
    milli = re.sub(r"(1610064\d{6})\d{3},", r"\1,", text)
    forms = {"header": HEADER + text, "crlf": text.replace("\n", "\r\n"), "milli": HEADER + milli}
    plain = trades_of(await events(Replay(recording, speed=math.inf)))
    for form, content in forms.items():
        path = tmp_path / f"BTCUSDT-trades-{form}.csv"
        path.write_bytes(content.encode())
        assert trades_of(await events(Replay(path, speed=math.inf))) == plain, form
    archive = tmp_path / "BTCUSDT-trades-2021-01-08.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("BTCUSDT-trades-2021-01-08.csv", text)
    replay = Replay(archive, speed=math.inf)
    assert trades_of(await events(replay)) == plain
    assert await replay.newest("BTCUSDT") == Newest(LAST, LAST_US)


@pytest.mark.parametrize("speed", [1.0, 10.0])
async def test_each_trade_is_yielded_when_it_is_due(recording: Path, speed: float) -> None:
    time = VirtualTime()
    start = time.us
    async for event in Replay(recording, speed=speed, now=time.now, sleep=time.sleep).feed(["BTCUSDT"]):
        file_us = FIRST_US + (time.us - start) * speed
        if isinstance(event, TradesReceived):
            assert -1 <= file_us - event.event_us < 5_002 * speed  # what comes due in 5 ms is one message
        else:
            assert event.time_us <= file_us + 1
    assert time.us - start == pytest.approx((LAST_US - FIRST_US) / speed, abs=5_010)


async def test_the_clock_advances_while_no_trade_is_due(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-trades-quiet.csv"
    path.write_text("1,5.0,1.0,5.0,1610064000000000,True,True\n2,5.0,1.0,5.0,1610064010000000,True,True\n")
    time = VirtualTime()
    heard = await events(Replay(path, now=time.now, sleep=time.sleep))
    clocks = [event.time_us - 1610064000000000 for event in heard if isinstance(event, ClockAdvanced)]
    assert clocks == [second * 1_000_000 for second in range(1, 11)] + [10_000_000]


async def test_the_maximum_speed_never_waits(recording: Path) -> None:
    time = VirtualTime()
    start = time.us
    await events(Replay(recording, speed=math.inf, now=time.now, sleep=time.sleep))
    assert time.us == start


async def test_malformed_lines_are_counted_and_the_others_are_yielded(text: str, tmp_path: Path) -> None:
    lines = text.splitlines()
    lines[100] = lines[100].replace(",", ";")
    lines[200] = lines[200].replace("True", "true?").replace("False", "false?")
    path = tmp_path / "BTCUSDT-trades-broken.csv"
    path.write_text("\n".join(lines))
    columns, side = refused("columns"), refused("side")
    ids = [trade.id for trade in trades_of(await events(Replay(path, speed=math.inf)))]
    assert ids == [id_ for id_ in range(FIRST, LAST + 1) if id_ not in (FIRST + 100, FIRST + 200)]
    assert (refused("columns"), refused("side")) == (columns + 1, side + 1)


@pytest.mark.parametrize(
    "content", ["", "hello\n" * 20, "1,2,3\n" * 20, "\0" * 100_000], ids=["empty", "words", "three", "zeros"]
)
async def test_a_file_that_is_not_a_dump_is_a_clear_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "BTCUSDT-trades-none.csv"
    path.write_text(content)
    with pytest.raises(RecordingError, match=r"is not a trade dump.*id,price,qty"):
        await events(Replay(path))


async def test_a_file_that_cannot_be_read_is_a_clear_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecordingError, match=r"cannot read the recording .*: No such file"):
        await events(Replay(tmp_path / "BTCUSDT-trades-missing.csv"))
    torn = tmp_path / "BTCUSDT-trades-torn.zip"
    torn.write_bytes(b"PK\x03\x04" + b"x" * 1000)
    with pytest.raises(RecordingError, match="damaged"):
        await events(Replay(torn))
    two = tmp_path / "BTCUSDT-trades-two.zip"
    with zipfile.ZipFile(two, "w") as file:
        file.writestr("a.csv", text)
        file.writestr("b.csv", text)
    with pytest.raises(RecordingError, match=r"2 \.csv files \(a\.csv, b\.csv\): expected a \.zip with exactly one"):
        await events(Replay(two))


async def test_history_answers_page_by_page(recording: Path, text: str, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-trades-header.csv"
    path.write_text(HEADER + text)
    replay = Replay(path)
    expected = trades_of(await events(Replay(recording, speed=math.inf)))
    for first, last in ((FIRST, LAST), (FIRST + 5, FIRST + 5), (FIRST + 800, FIRST + 1100), (LAST - 3, LAST + 100)):
        got: list[Trade] = []
        while (page := await replay.history("BTCUSDT", first + len(got), last)) is not None:
            got += page
        assert got == [trade for trade in expected if first <= trade.id <= last]
    assert await replay.history("BTCUSDT", FIRST - 10, FIRST - 1) is None
    assert await replay.history("BTCUSDT", LAST + 1, LAST + 10) is None


async def test_junk_at_the_end_hides_neither_history_nor_the_newest_trade(text: str, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-trades-junk.csv"
    path.write_text(text + ("7" * 10_000 + ",junk\n") * 20 + "123,\n" * 20_000)
    replay = Replay(path)
    assert await replay.newest("BTCUSDT") == Newest(LAST, LAST_US)
    assert await replay.history("BTCUSDT", LAST + 1, LAST + 10) is None


async def test_refused_lines_hide_no_trade_from_the_history(text: str, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-trades-junk.csv"
    lines = [f"{FIRST + 1500},refused\n{line}" for line in text.splitlines(keepends=True)]
    path.write_text("".join(lines))
    replay = Replay(path)
    for id_ in range(FIRST, LAST + 1, 50):
        page = await replay.history("BTCUSDT", id_, id_)
        assert page is not None
        assert page.first_id == id_


async def test_only_the_symbol_of_the_file_is_known(recording: Path) -> None:
    replay = Replay(recording)
    with pytest.raises(UnknownSymbolError, match="BTCUSDT only, not of ETHUSDT"):
        await replay.check(["BTCUSDT", "ETHUSDT"])
    with pytest.raises(UnknownSymbolError):
        await replay.history("ETHUSDT", 1, 2)


@pytest.mark.parametrize(
    ("name", "symbols", "expected"),
    [
        ("binance-BTCUSDT-trades-2021-01-08.csv", (), "BTCUSDT"),
        ("ETHUSDT-trades-2024-01.zip", (), "ETHUSDT"),
        ("day.csv", ("SOLUSDT",), "SOLUSDT"),
        ("ZILBTC-aggTrades-2021-02-28.csv", (), "ZILBTC"),
        ("UPPERUSDT-TRADES-2024-12-31.CSV", (), "UPPERUSDT"),
        ("BTCUSDT_240628-trades-2024-06.zip", (), "BTCUSDT_240628"),
        ("币安人生USDT-trades-2025-10-10.csv", (), "币安人生USDT"),
        ("E\u0301USDT-trades-2025-10-10.csv", (), "ÉUSDT"),
        ("binance-BTCUSDT-x.csv", ("WBTCUSDT",), "WBTCUSDT"),
    ],
)
def test_symbol_of_a_file(name: str, symbols: tuple[str, ...], expected: str) -> None:
    assert symbol_of(Path(name), symbols) == expected


@pytest.mark.parametrize(("name", "symbols"), [("day.csv", ()), ("BTCUSDT-trades-x.csv", ("A1", "B2"))])
def test_a_file_of_no_or_many_symbols_is_a_clear_error(name: str, symbols: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="give one symbol with --symbols"):
        symbol_of(Path(name), symbols, "--symbols")


USDM = "id,price,qty,quote_qty,time,is_buyer_maker\n50,68402.6,0.024,1641.6624,1717113600031,true\n"
USDM_AGGREGATES = "7,68402.6,0.024,50,52,1717113600031,false\n"
SPOT = "7,39432.48,0.5,19716.24,1610064000278,True,True\n"


def row(id_: int, time_ms: int) -> str:
    return f"{id_},100.5,1.0,100.5,{time_ms},True,True\n"


def dump(folder: Path, content: str, name: str = "BTCUSDT-trades-2024-05-31.csv") -> Path:
    path = folder / name
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("content", "given", "expected"),
    [
        (SPOT, None, "replay"), (SPOT, "binance", "binance"), (SPOT, "mine", "mine"),
        (USDM, None, "binance-usdm"), (USDM, "binance-usdm", "binance-usdm"), (USDM_AGGREGATES, None, "binance-usdm"),
    ],
)  # fmt: skip
def test_the_market_of_the_file_determines_the_name(
    tmp_path: Path, content: str, given: str | None, expected: str
) -> None:
    assert Replay(dump(tmp_path, content), name=given).name == expected


@pytest.mark.parametrize(
    ("content", "given", "said"),
    [
        (USDM, "binance", "USD-M trades, which cannot be stored as binance.*use --as binance-usdm"),
        (USDM_AGGREGATES, "binance", "USD-M aggregates, which cannot be stored as binance"),
        (SPOT, "binance-usdm", "spot trades, which cannot be stored as binance-usdm.*use --as binance"),
    ],
)
async def test_trades_of_one_market_are_not_stored_as_those_of_another(
    tmp_path: Path, content: str, given: str, said: str
) -> None:
    replay = Replay(dump(tmp_path, content), name=given)
    with pytest.raises(RecordingError, match=said):
        await replay.check(["BTCUSDT"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("BTCUSDT-trades-a.csv", USDM.replace("quote_qty", "base_qty")),
        ("BTCUSDT-trades-a.csv", "50,68402.6,5,0.00731,1717113600031,true\n"),
        ("BTCUSD_PERP-aggTrades-2024-05-31.csv", USDM_AGGREGATES.replace("0.024", "5")),
        ("BTCUSD_240628-trades-2024-05-31.csv", USDM),
    ],
)
async def test_trades_of_coin_margined_futures_are_refused_by_name(tmp_path: Path, name: str, content: str) -> None:
    replay = Replay(dump(tmp_path, content, name))
    with pytest.raises(RecordingError, match=r"COIN-M futures: their quantities are numbers of contracts"):
        await replay.check([replay.symbol])


async def test_only_trades_with_skipped_ids_are_unordered(tmp_path: Path) -> None:
    for content, unordered in ((SPOT, False), (USDM, True), (USDM_AGGREGATES, False)):
        heard = await events(Replay(dump(tmp_path, content), speed=math.inf))
        assert [event.is_unordered for event in heard if isinstance(event, TradesReceived)] == [unordered]


async def test_a_zip_that_was_packed_again_is_read(tmp_path: Path) -> None:
    for name in ("day/BTCUSDT-TRADES.CSV", "BTCUSDT-trades-2024-12-31.csv"):
        path = tmp_path / "BTCUSDT-trades-2024-12-31.zip"
        with zipfile.ZipFile(path, "w") as file:
            file.mkdir("day.csv")
            file.writestr(f"__MACOSX/{name}", b"\0\5\x16\7")
            file.writestr("__MACOSX/._x.csv", b"\0\5\x16\7")
            file.writestr("day/._BTCUSDT.csv", b"\0\5\x16\7")
            file.writestr(name, SPOT)
        assert [trade.id for trade in trades_of(await events(Replay(path, speed=math.inf)))] == [7]


async def test_woven_rows_are_sorted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketstream.exchanges.replay.dump.BLOCK_BYTES", 200)
    early = [row(100 + n, 1_682_899_200_000 + n) for n in range(30)]
    late = [row(5000 + n, 1_685_463_466_000 + n) for n in range(30)]
    woven = [line for pair in zip(early, late, strict=True) for line in pair]
    woven.insert(7, "junk\n")
    columns = refused("columns")
    replay = Replay(dump(tmp_path, "".join(woven)), speed=math.inf)
    trades = trades_of(await events(replay))
    assert [trade.id for trade in trades] == [*range(100, 130), *range(5000, 5030)]
    assert [trade.time for trade in trades] == sorted(trade.time for trade in trades)
    assert refused("columns") == columns + 1
    assert await replay.newest("BTCUSDT") == Newest(5029, 1_685_463_466_029_000)
    page = await replay.history("BTCUSDT", 129, 5000)
    assert page is not None
    assert page.first_id == 129
    await replay.close()


async def test_ids_that_begin_again_keep_the_order_of_time(tmp_path: Path) -> None:
    rows = [row(id_, 1_682_899_200_000 + n) for n, id_ in enumerate([100, 101, 102, 1, 2, 3])]
    replay = Replay(dump(tmp_path, "".join(rows)), speed=math.inf)
    assert [trade.id for trade in trades_of(await events(replay))] == [100, 101, 102, 1, 2, 3]
    await replay.close()


@pytest.mark.parametrize("time_ms", [1_700_000_000_000, 1_600_000_000_000, 1_682_899_200, 7_000_000_000_000])
async def test_a_wrong_time_is_one_refused_row_with_its_line(
    tmp_path: Path, time_ms: int, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row(n, 1_682_899_200_000 + n) for n in range(1, 1001)]
    rows[499] = row(500, time_ms)
    reason = refused("time")
    heard = await events(Replay(dump(tmp_path, "".join(rows)), speed=math.inf))
    assert [trade.id for trade in trades_of(heard)] == [n for n in range(1, 1001) if n != 500]
    assert refused("time") == reason + 1
    assert "line=500" in "".join(capsys.readouterr())
    for event in heard:
        if isinstance(event, TradesReceived):
            assert event.event_us - min(event.trades.times) < 3600_000_000


async def test_the_feed_shows_life_while_a_file_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketstream.exchanges.replay.exchange.ALIVE_S", 0.0)
    heard = await events(Replay(dump(tmp_path, SPOT), speed=math.inf))
    assert isinstance(heard[0], ConnectionAlive)
