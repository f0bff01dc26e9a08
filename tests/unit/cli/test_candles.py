"""The table of candles, and the choice of exchange and symbol."""

from typing import Any

import msgspec
import pytest
from marketstream.cli.candles import NoCandlesError, choose, table
from marketstream.postgres.reader import CandleRow, Followed

CANDLE = CandleRow(
    exchange="binance", symbol="BTCUSDT", interval="10s", window_start=1610064010,
    open="39479.22", high="39499.98", low="39460.39", close="39491.98",
    volume="19.694925", quote_volume="777500", taker_buy_volume="10", vwap="39477.2",
    trade_count=328, first_trade_id=1, last_trade_id=328, complete=True, incomplete_reason=None, revision=0,
)  # fmt: skip


def candle(**changes: Any) -> CandleRow:
    return msgspec.structs.replace(CANDLE, **changes)


def test_a_table_is_aligned_and_marks_incomplete_candles() -> None:
    marked = candle(
        window_start=1610064000, open="39432.4", high="140000", close="39479.23", volume="6", trade_count=5,
        complete=False, incomplete_reason="unconfirmed",
    )  # fmt: skip
    assert table([marked, CANDLE]).splitlines() == [
        "       window (UTC)      open       high       low     close     volume  trades",
        "2021-01-08 00:00:00  39432.40  140000.00  39460.39  39479.23   6.000000       5  ! unconfirmed",
        "2021-01-08 00:00:10  39479.22   39499.98  39460.39  39491.98  19.694925     328",
    ]


def test_whole_numbers_have_no_decimal_point() -> None:
    prices = dict.fromkeys(("open", "high", "low", "close", "volume"), "7")
    assert "7.0" not in table([candle(**prices)])


def test_an_empty_table_says_so() -> None:
    assert table([]) == "no candles yet"


BOTH = [Followed("binance", "BTCUSDT", 0), Followed("replay", "BTCUSDT", 0), Followed("replay", "ETHUSDT", 0)]


@pytest.mark.parametrize(
    ("symbol", "exchange", "chosen"),
    [
        ("BTCUSDT", None, ("binance", "BTCUSDT")),
        ("btcusdt", "replay", ("replay", "BTCUSDT")),
        ("ETHUSDT", None, ("replay", "ETHUSDT")),
    ],
)
def test_the_default_exchange_or_the_only_one_is_chosen(
    symbol: str, exchange: str | None, chosen: tuple[str, str]
) -> None:
    assert choose(BOTH, symbol, exchange, "binance") == chosen


@pytest.mark.parametrize(
    ("followed", "symbol", "exchange", "message"),
    [
        ([], "BTCUSDT", None, "no candles of BTCUSDT on binance; stored symbols: none yet"),
        (BOTH, "NOPE", None, "stored symbols: BTCUSDT on binance, BTCUSDT on replay, ETHUSDT on replay"),
        (BOTH, "ETHUSDT", "binance", "no candles of ETHUSDT on binance"),
        (BOTH[1:], "NOPE", None, "no candles of NOPE on binance"),
    ],
)
def test_the_error_lists_the_stored_symbols(
    followed: list[Followed], symbol: str, exchange: str | None, message: str
) -> None:
    with pytest.raises(NoCandlesError, match=message):
        choose(followed, symbol, exchange, "binance")
