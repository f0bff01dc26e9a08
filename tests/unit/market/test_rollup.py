"""The open candle of a longer interval agrees with the reference model."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketstream.market.number import decimal_text
from marketstream.market.rollup import RolledUp, roll_up
from marketstream.market.window import INTERVALS, ROLLUPS, Interval

from tests.harness.model import Row, reference_rollup

START = 1_609_977_600  # a midnight, at which every interval begins


def child(start: int, **changes: object) -> RolledUp:
    """Return a candle of one window."""
    candle = RolledUp(start, "10", "12", "9", "11", "3", "30", "1", 5, 1, 5, complete=True, incomplete_reason=None)
    return candle._replace(**changes)  # type: ignore[arg-type]


def empty(start: int, price: str, last_id: int) -> RolledUp:
    """Return the candle of a window proven to hold no trades."""
    return RolledUp(
        start, price, price, price, price, "0", "0", "0", 0, last_id + 1, last_id, complete=True, incomplete_reason=None
    )


amounts = st.decimals(0, 10**9, places=8).map(decimal_text)
prices = st.decimals("0.01", 10**6, places=4).map(decimal_text)


@st.composite
def families(draw: st.DrawFn) -> tuple[Interval, list[RolledUp]]:
    """Draw an interval and some of the children of one of its windows."""
    interval = draw(st.sampled_from(ROLLUPS))
    step = INTERVALS[interval.children or ""].seconds
    starts = range(START, START + interval.seconds, step)
    children = []
    for start in sorted(draw(st.sets(st.sampled_from(starts), min_size=1))):
        if draw(st.booleans()):
            children.append(empty(start, draw(prices), start))
            continue
        low, first, last, high = sorted((draw(prices) for _ in range(4)), key=Decimal)
        reason = draw(st.sampled_from([None, "hole", "unfillable", "unordered_ids", "unconfirmed"]))
        children.append(
            RolledUp(
                start,
                first,
                high,
                low,
                last,
                draw(amounts),
                draw(amounts),
                draw(amounts),
                draw(st.integers(1, 999)),
                start,
                start + 5,
                complete=reason is None,
                incomplete_reason=reason,
            )
        )
    return interval, children


def row(candle: RolledUp) -> Row:
    texts = (candle.open, candle.high, candle.low, candle.close, candle.volume, candle.quote_volume)
    return Row(
        candle.window_start, *map(Decimal, texts), Decimal(candle.taker_buy_volume), candle.trade_count,
        candle.first_trade_id, candle.last_trade_id, candle.complete,
    )  # fmt: skip


@given(families())
def test_it_is_the_reference(family: tuple[Interval, list[RolledUp]]) -> None:
    interval, children = family
    step = INTERVALS[interval.children or ""].seconds
    expected = reference_rollup({c.window_start: row(c) for c in children}, interval, step)
    assert {START: row(roll_up(interval, START, children))} == expected


@pytest.mark.parametrize(
    ("reasons", "reason"),
    [
        ([None] * 6, None),
        ([None] * 5, "unconfirmed"),
        ([None] * 5 + ["unconfirmed"], "unconfirmed"),
        (["unconfirmed", "unordered_ids"], "unordered_ids"),
        (["unordered_ids", "unfillable"], "unfillable"),
        (["unfillable", "hole", None], "hole"),
    ],
)
def test_the_worst_reason_is_reported(reasons: list[str | None], reason: str | None) -> None:
    children = [child(START + 10 * n, complete=each is None, incomplete_reason=each) for n, each in enumerate(reasons)]
    candle = roll_up(INTERVALS["1m"], START, children)
    assert (candle.complete, candle.incomplete_reason) == (reason is None, reason)


def test_windows_without_trades_add_no_prices() -> None:
    children = [empty(START, "99", 0), child(START + 10), empty(START + 20, "0.5", 5)]
    candle = roll_up(INTERVALS["1m"], START, children)
    assert candle[1:5] == ("10", "12", "9", "11")
    assert (candle.first_trade_id, candle.last_trade_id) == (1, 5)


def test_sums_keep_every_digit() -> None:
    children = [child(START, volume="123456789012345678.000000000000000001"), child(START + 10, volume="0.1")]
    assert roll_up(INTERVALS["1m"], START, children).volume == "123456789012345678.100000000000000001"


def test_ten_seconds_have_no_children() -> None:
    with pytest.raises(ValueError, match="built from trades"):
        roll_up(INTERVALS["10s"], START, [child(START)])
