"""Conversion between the domain and rows of PostgreSQL."""

from typing import Any, cast

from asyncpg import Range, Record
from marketstream.market.candle import Candle
from marketstream.market.counted import Run
from marketstream.market.progress import ClosedCandle, Commit, Progress
from marketstream.market.trade import Trade
from marketstream.market.verdict import Verdict
from marketstream.market.window import WINDOW_S, WINDOW_US
from marketstream.postgres.rows import StoredCandle, candle_row, columns, progress_of, progress_row, verdict_row

KEY = ("binance", "BTCUSDT")
WINDOW = 161_006_404

PROGRESS = Progress(
    resume_offset=40, position=42, closed_until=WINDOW + 1,
    counted=(Run(1, 5, 100, 200), Run(9, 9, 300, 350)), unfillable=((6, 7), (12, 12)), settled_id=3, generation=2,
    since_us=90, begin_known=True,
)  # fmt: skip


def test_a_candle_is_written_as_decimal_text_at_the_scale_of_each_amount() -> None:
    time_us = WINDOW * WINDOW_US + 5
    candle = Candle(WINDOW, 2, 3, Trade(7, 1, time_us, 12_345, 2_500, taker_buy=True))
    assert candle_row(KEY, ClosedCandle(candle, "hole")) == (
        "binance", "BTCUSDT", WINDOW * WINDOW_S, "123.45", "123.45", "123.45", "123.45", "2.5", "308.625", "2.5",
        time_us, 7, time_us, 7, 1, 7, 7, "hole",
    )  # fmt: skip


def test_a_verdict_is_written_with_the_starts_of_its_windows() -> None:
    verdict = Verdict(WINDOW, WINDOW + 2, None, 7, 9)
    assert verdict_row(KEY, verdict) == (*KEY, WINDOW * WINDOW_S, (WINDOW + 2) * WINDOW_S, None, 7, 9)


def test_progress_is_written_with_ranges_that_include_both_ends() -> None:
    assert progress_row(KEY, 7, 3, Commit(progress=PROGRESS)) == (
        "binance", "BTCUSDT", 7, 3, 40, 42, (WINDOW + 1) * WINDOW_S,
        "{[1,5],[9,9]}", "{100,200,300,350}", "{[6,7],[12,12]}", 3, 2, 90, True,
    )  # fmt: skip


def test_progress_is_read_from_ranges_that_exclude_their_upper_end() -> None:
    row = {
        "resume_offset": 40, "position": 42, "closed_until": (WINDOW + 1) * WINDOW_S,
        "counted": [Range(1, 6), Range(9, 10)], "edge_times": [100, 200, 300, 350],
        "unfillable": [Range(6, 8), Range(12, 13)], "settled_id": 3, "generation": 2, "generation_since": 90,
        "begin_known": True,
    }  # fmt: skip
    progress = progress_of(cast("Record", row))
    assert progress_row(KEY, 7, 3, Commit(progress=progress)) == progress_row(KEY, 7, 3, Commit(progress=PROGRESS))


def test_a_stored_candle_ignores_columns_that_it_does_not_have() -> None:
    row: dict[str, Any] = {name: name for name in StoredCandle._fields}
    assert StoredCandle.of(row | {"updated_at": "now"}) == tuple(StoredCandle._fields)


def test_no_rows_become_empty_columns() -> None:
    assert columns([(1, "a"), (2, "b")], 2) == [[1, 2], ["a", "b"]]
    assert columns([], 3) == [[], [], []]
