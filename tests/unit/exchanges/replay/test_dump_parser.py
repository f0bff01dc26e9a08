from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketstream.exchanges.replay.dump_parser import BYTE_ORDER_MARK, DumpParser
from marketstream.exchanges.replay.layouts import (
    SPOT_AGGREGATES,
    SPOT_TRADES,
    USDM_AGGREGATES,
    USDM_TRADES,
    Layout,
)
from marketstream.market.number import MAX_VALUE, to_text
from marketstream.market.trade import EARLIEST_US, Trades

from tests.harness.amounts import to_decimal

NOW_US = 1_795_000_000_000_000
GOOD = "7,39432.48000000,0.00026300,10.37074224,1610064000278000,True,True"

Refused = list[tuple[str, int, str]]


def parse(*lines: str, first_line: int = 1, layout: Layout = SPOT_TRADES) -> tuple[list[Trades], Refused]:
    refused: Refused = []
    parser = DumpParser(lambda *what: refused.append(what), NOW_US, layout)
    parts = parser.parse("".join(line + "\n" for line in lines).encode(), first_line)
    return [part.trades for part in parts], refused


def test_a_line_becomes_a_trade() -> None:
    trades, refused = parse(GOOD)
    assert trades == [Trades(2, 6, 7, [1610064000278000], [3943248], [263], b"\0")]
    assert not refused


AMOUNTS = st.tuples(st.integers(1, 10**12), st.integers(0, 8), st.integers(0, 3))


@given(
    st.lists(st.tuples(st.integers(0, 2**53), AMOUNTS, AMOUNTS, st.booleans(), st.booleans()), min_size=1),
    st.booleans(),
)
def test_amounts_agree_with_decimal_for_any_padding(
    rows: list[tuple[int, tuple[int, int, int], tuple[int, int, int], bool, bool]], padded: bool
) -> None:
    def text(value: int, scale: int, zeros: int) -> str:
        plain = to_text(value, scale)
        whole, _, fraction = plain.partition(".")
        return f"{whole}.{fraction.ljust(8, '0')}" if padded else plain + "0" * zeros * ("." in plain)

    lines = [
        f"{id_},{text(*price)},{text(*quantity)},1.0,{1610064000000 + n},{maker},{best}"
        for n, (id_, price, quantity, maker, best) in enumerate(rows)
    ]
    parsed, refused = parse(*lines)
    assert not refused
    got = [
        (t.id, t.time, to_decimal(t.price, part.price_scale), to_decimal(t.quantity, part.quantity_scale), t.taker_buy)
        for part in parsed
        for t in part
    ]
    assert got == [
        (id_, (1610064000000 + n) * 1000, Decimal(p[0]).scaleb(-p[1]), Decimal(q[0]).scaleb(-q[1]), not maker)
        for n, (id_, p, q, maker, _) in enumerate(rows)
    ]
    assert all(max(*part.prices, *part.quantities) <= MAX_VALUE for part in parsed)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "columns"),
        (GOOD + ",True", "columns"),
        (GOOD.removesuffix(",True"), "columns"),
        (GOOD.replace("7,", "x,", 1), "id"),
        (GOOD.replace("7,", "-7,", 1), "id"),
        (GOOD.replace("7,", "99999999999999999999,", 1), "id"),
        (GOOD.replace("39432.48000000", "-39432.48"), "number"),
        (GOOD.replace("39432.48000000", "39_432.48"), "number"),
        (GOOD.replace("39432.48000000", "394.32.48"), "number"),
        (GOOD.replace("39432.48000000", "1e-19"), "number"),
        (GOOD.replace("39432.48000000", "1e99"), "number"),
        (GOOD.replace("39432.48000000", "1e999999999"), "number"),
        (GOOD.replace("39432.48000000", "-1e-05"), "number"),
        (GOOD.replace("39432.48000000", ""), "number"),
        (GOOD.replace("39432.48000000", "0.00000000"), "price"),
        (GOOD.replace("0.00026300", "NaN"), "number"),
        (GOOD.replace("0.00026300", "1" * 30), "number"),
        (GOOD.replace("0.00026300", "1" * 10_000), "number"),
        (GOOD.replace("7,", "7" * 10_000 + ",", 1), "id"),
        (GOOD.replace("1610064000278000", "soon"), "time"),
        (GOOD.replace("1610064000278000", "1610064000"), "time"),
        (GOOD.replace("1610064000278000", "1610064000278000000"), "time"),
        (GOOD.replace("True,True", "Yes,True"), "side"),
        (GOOD.replace("True,True", "True,maybe"), "side"),
        ("\N{SNOWMAN}" * 7, "columns"),
    ],
    ids=lambda value: value[:40],
)
def test_an_invalid_line_is_refused_and_the_others_are_parsed(line: str, reason: str) -> None:
    after = GOOD.replace("7,", "8,", 1)
    trades, refused = parse(GOOD, line, after, first_line=41)
    assert refused == [(reason, 42, line)]
    assert [trade.id for part in trades for trade in part] == [7, 8]


def test_two_lines_with_the_right_number_of_columns_only_in_sum_are_refused() -> None:
    _, refused = parse(GOOD, GOOD.removesuffix(",True"), "True," + GOOD)
    assert [(reason, line) for reason, line, _ in refused] == [("columns", 2), ("columns", 3)]


def test_a_header_is_skipped_as_the_first_line_only() -> None:
    header = "id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch"
    assert parse(header, GOOD)[1] == []
    assert [reason for reason, _, _ in parse(GOOD, header)[1]] == ["id"]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_last_line_needs_no_end(line_end: str) -> None:
    parser = DumpParser(lambda *_: pytest.fail("refused"), NOW_US)
    (part,) = parser.parse(f"{GOOD}{line_end}{GOOD}".encode(), 1)
    assert len(part.trades) == 2


@pytest.mark.parametrize("strange", [[], ["junk"]], ids=["at once", "line by line"])
def test_each_time_is_read_in_its_own_unit(strange: list[str]) -> None:
    micro, milli = GOOD, GOOD.replace("1610064000278000", "1610064000278")
    trades, refused = parse(milli, micro, milli, *strange)
    assert [time for part in trades for time in part.times] == [1610064000278000] * 3
    assert len(refused) == len(strange)


def test_a_time_in_seconds_is_refused() -> None:
    trades, refused = parse(GOOD.replace("1610064000278000", str(EARLIEST_US // 1_000_000)), GOOD)
    assert [reason for reason, _, _ in refused] == ["time"]
    assert trades[0].times == [1610064000278000]


def test_scales_never_become_narrower() -> None:
    parser = DumpParser(lambda *_: pytest.fail("refused"), NOW_US)
    parser.parse(GOOD.encode(), 1)
    for price in ("39432.00000000", "39432", "39432.5"):
        ((trades, _, _),) = parser.parse(GOOD.replace("39432.48000000", price).encode(), 2)
        assert (trades.price_scale, trades.quantity_scale) == (2, 6)
        assert to_decimal(trades.prices[0], 2) == Decimal(price)


def test_amounts_that_do_not_fit_one_scale_are_returned_in_parts() -> None:
    small = GOOD.replace("39432.48000000", "0.000000000000000001")
    trades, refused = parse(GOOD, small, GOOD)
    assert not refused
    prices = [to_decimal(price, part.price_scale) for part in trades for price in part.prices]
    assert prices == [Decimal("39432.48"), Decimal("1e-18"), Decimal("39432.48")]


@pytest.mark.parametrize(
    ("text", "value", "scale"),
    [("1e-05", 1, 5), ("1E-05", 1, 5), ("2.5e-07", 25, 8), ("3.9e4", 39000, 0), ("1e+2", 100, 0), ("1.50e-1", 15, 2)],
)
def test_exponents_are_read_exactly(text: str, value: int, scale: int) -> None:
    (trades,), refused = parse(GOOD.replace("0.00026300", text))
    assert not refused
    assert (trades.quantities, trades.quantity_scale) == ([value], scale)


def test_a_byte_order_mark_is_passed_over() -> None:
    for first in (GOOD, "id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch"):
        parser = DumpParser(lambda *_: pytest.fail("refused"), NOW_US)
        (part,) = parser.parse(BYTE_ORDER_MARK + f"{first}\n{GOOD.replace('7,', '8,', 1)}\n".encode(), 1)
        assert part.trades.all_ids()[-1] == 8


@pytest.mark.parametrize("strange", [[], ["junk"]], ids=["at once", "line by line"])
@pytest.mark.parametrize(
    ("layout", "line", "id_", "n"),
    [
        (SPOT_AGGREGATES, "12,0.00000238,2082.00000000,90,92,1614556630707,True,True", 90, 3),
        (USDM_TRADES, "50,68402.6,0.024,1641.6624,1717113600031,true", 50, 1),
        (USDM_AGGREGATES, "7,68402.6,0.024,50,52,1717113600031,false", 7, 1),
    ],
)
def test_every_layout_is_parsed(layout: Layout, line: str, id_: int, n: int, strange: list[str]) -> None:
    (trades,), refused = parse(line, *strange, layout=layout)
    assert [(trade.id, trade.n, trade.taker_buy) for trade in trades] == [(id_, n, line.endswith("false"))]
    assert [reason for reason, _, _ in refused] == ["columns"] * len(strange)


def test_aggregates_that_continue_each_other_need_no_ids() -> None:
    line = "12,0.00000238,2082.00000000,{},{},1614556630707,True,True"
    (follows,), _ = parse(line.format(90, 92), line.format(93, 93), layout=SPOT_AGGREGATES)
    assert (follows.ids, follows.counts) == (None, [3, 1])
    (apart,), _ = parse(line.format(90, 92), line.format(94, 94), layout=SPOT_AGGREGATES)
    assert (apart.ids, apart.counts) == ([90, 94], [3, 1])


@pytest.mark.parametrize(("first", "last"), [("92", "90"), ("-1", "-1"), ("0", "5000000"), ("x", "1")])
def test_an_aggregate_of_an_impossible_range_is_refused(first: str, last: str) -> None:
    trades, refused = parse(
        f"12,0.5,2,{first},{last},1614556630707,True,True",
        "13,0.5,2,7,7,1614556630707,True,True",
        layout=SPOT_AGGREGATES,
    )
    assert [reason for reason, _, _ in refused] == ["id"]
    assert [trade.id for part in trades for trade in part] == [7]


def test_characters_within_a_line_do_not_shift_the_numbers_of_lines() -> None:
    _, refused = parse(GOOD, "a\x0bb\u2028c\x85d", GOOD, "junk")
    assert [(reason, line) for reason, line, _ in refused] == [("columns", 2), ("columns", 4)]
