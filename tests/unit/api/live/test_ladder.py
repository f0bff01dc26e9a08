"""Recent candles in memory, and open candles computed from them."""

from marketstream.api.live.ladder import Ladder, levels
from marketstream.api.live.messages import KEPT
from marketstream.market.window import INTERVALS
from marketstream.postgres.reader import CandleRow

from tests.unit.api.live.rungs import START, closed, live

TEN, MINUTE, FIVE = INTERVALS["10s"], INTERVALS["1m"], INTERVALS["5m"]


def ladder(**held: list[CandleRow]) -> Ladder:
    made = Ladder("binance", "BTCUSDT")
    for name in INTERVALS:
        if name in held:
            made.hold(INTERVALS[name], held[name])
    return made


def test_levels_are_the_interval_and_all_shorter_ones() -> None:
    assert levels(FIVE) == [TEN, MINUTE, FIVE]


def test_the_newest_corrected_candles_are_kept_in_order() -> None:
    rungs = ladder(**{"10s": [closed(START + 10 * n) for n in range(KEPT)]})
    late, new = closed(START + 10, "2"), closed(START + 10 * KEPT)
    assert rungs.correct(TEN, [closed(START), late, new]) == [late, new]
    starts = [candle.window_start for candle in rungs.closed(TEN)]
    assert starts == [START + 10 * n for n in range(1, KEPT + 1)]
    assert rungs.closed(TEN)[0] == late


def test_a_longer_open_candle_is_computed_from_stored_and_open_parts() -> None:
    rungs = ladder(**{"10s": [closed(START, "1"), closed(START + 10, "3")], "1m": []})
    rungs.move(live(START + 20, "2"))
    found = rungs.open_candles([TEN, MINUTE, FIVE])
    assert found["10s"].trade_count == 1
    minute = found["1m"]
    assert (minute.window_start, minute.open, minute.high, minute.close) == (START, "1", "3", "2")
    assert (minute.trade_count, minute.complete, minute.incomplete_reason) == (3, False, "unconfirmed")
    assert (found["5m"].interval, found["5m"].trade_count) == ("5m", 3)


def test_a_closed_window_keeps_its_trades_until_it_is_stored() -> None:
    rungs = ladder(**{"10s": [], "1m": []})
    rungs.move(live(START, trades=5))
    rungs.move(live(START + 10, trades=1))
    assert rungs.open_candles([MINUTE])["1m"].trade_count == 6
    rungs.correct(TEN, [closed(START, trades=7)])  # stored, with two late trades
    assert rungs.open_candles([MINUTE])["1m"].trade_count == 8


def test_there_is_no_open_candle_before_the_first_or_after_a_reset() -> None:
    rungs = ladder(**{"10s": [closed(START)]})
    assert rungs.open_candles([TEN]) == {}
    rungs.move(live(START + 10))
    rungs.move(None)
    assert rungs.open_candles([TEN]) == {}


def test_only_needed_intervals_stay_held() -> None:
    rungs = ladder(**{"10s": [], "1m": [], "5m": []})
    rungs.release([MINUTE])
    assert rungs.held == [TEN, MINUTE]
    rungs.release([])
    assert rungs.held == []
