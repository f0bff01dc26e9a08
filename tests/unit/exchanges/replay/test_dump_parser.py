from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketstream.exchanges.replay.dump_parser import DumpParser
from marketstream.market.number import MAX_VALUE, to_text
from marketstream.market.trade import EARLIEST_US, Trades

from tests.harness.amounts import to_decimal

NOW_US = 1_795_000_000_000_000
GOOD = "7,39432.48000000,0.00026300,10.37074224,1610064000278000,True,True"

Refused = list[tuple[str, int, str]]


def parse(*lines: str, first_line: int = 1) -> tuple[list[Trades], Refused]:
    refused: Refused = []
    parser = DumpParser(lambda *what: refused.append(what), NOW_US)
    return parser.parse("".join(line + "\n" for line in lines).encode(), first_line), refused


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
        (GOOD.replace("39432.48000000", "3.9e4"), "number"),
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
    (trades,) = parser.parse(f"{GOOD}{line_end}{GOOD}".encode(), 1)
    assert len(trades) == 2


def test_the_unit_of_the_times_is_determined_once_per_file() -> None:
    refused: Refused = []
    parser = DumpParser(lambda *what: refused.append(what), NOW_US)
    (milli,) = parser.parse(GOOD.replace("1610064000278000", "1610064000278").encode(), 1)
    assert milli.times == [1610064000278000]
    assert parser.parse(GOOD.encode(), 2) == []
    assert [reason for reason, _, _ in refused] == ["time"]


def test_an_implausible_first_time_does_not_determine_the_unit() -> None:
    trades, refused = parse(GOOD.replace("1610064000278000", str(EARLIEST_US // 1_000_000)), GOOD)
    assert [reason for reason, _, _ in refused] == ["time"]
    assert trades[0].times == [1610064000278000]


def test_scales_never_become_narrower() -> None:
    parser = DumpParser(lambda *_: pytest.fail("refused"), NOW_US)
    parser.parse(GOOD.encode(), 1)
    for price in ("39432.00000000", "39432", "39432.5"):
        (trades,) = parser.parse(GOOD.replace("39432.48000000", price).encode(), 2)
        assert (trades.price_scale, trades.quantity_scale) == (2, 6)
        assert to_decimal(trades.prices[0], 2) == Decimal(price)


def test_amounts_that_do_not_fit_one_scale_are_returned_in_parts() -> None:
    small = GOOD.replace("39432.48000000", "0.000000000000000001")
    trades, refused = parse(GOOD, small, GOOD)
    assert not refused
    prices = [to_decimal(price, part.price_scale) for part in trades for price in part.prices]
    assert prices == [Decimal("39432.48"), Decimal("1e-18"), Decimal("39432.48")]
