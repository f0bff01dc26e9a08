"""The layout of a dump is known by its columns and its header."""

import pytest
from marketstream.exchanges.replay.layouts import (
    SPOT_AGGREGATES,
    SPOT_TRADES,
    USDM_AGGREGATES,
    USDM_TRADES,
    Layout,
    is_coin_margined,
    layout_of,
)

ROWS = {
    SPOT_TRADES: "7,39432.48,0.5,19716.24,1610064000278,True,True",
    SPOT_AGGREGATES: "12,0.00000238,2082.0,90,92,1614556630707,True,True",
    USDM_TRADES: "50,68402.6,0.024,1641.6624,1717113600031,true",
    USDM_AGGREGATES: "7,68402.6,0.024,50,52,1717113600031,false",
}
COIN_ROW = "50,68402.6,5,0.00731,1717113600031,true"


def fields(*lines: str) -> list[list[str]]:
    return [line.split(",") for line in lines]


@pytest.mark.parametrize("layout", ROWS, ids=lambda layout: layout.name)
@pytest.mark.parametrize("named", [False, True])
def test_a_layout_is_known_with_and_without_a_header(layout: Layout, named: bool) -> None:
    assert layout_of(layout.header if named else [], fields(ROWS[layout])) == layout


@pytest.mark.parametrize("layout", ROWS, ids=lambda layout: layout.name)
def test_damaged_rows_do_not_change_the_layout(layout: Layout) -> None:
    damaged = [ROWS[layout].rpartition(",")[0], ROWS[layout] + ",True", "junk", ""]
    assert layout_of([], fields(*damaged[:1], ROWS[layout])) == layout
    assert layout_of([], fields(*damaged, ROWS[layout], ROWS[layout])) == layout


def test_rows_of_no_layout_have_none() -> None:
    assert layout_of([], fields("", "1,2,3", "a,b,c,d,e,f,g", "7,39432.48,0.5,1.0,soon,True,True")) is None


def test_a_header_that_names_other_columns_is_refused() -> None:
    assert layout_of(["id", "qty", "price", "quote_qty", "time", "is_buyer_maker"], fields(ROWS[USDM_TRADES])) is None
    unknown = ["no", "at", "amount", "sum", "when", "sold"]
    assert layout_of(unknown, fields(ROWS[USDM_TRADES])) == USDM_TRADES


def test_quantities_in_contracts_are_known_by_the_header_or_by_the_numbers() -> None:
    assert is_coin_margined(["id", "price", "qty", "base_qty", "time", "is_buyer_maker"], [])
    assert is_coin_margined([], fields(COIN_ROW))
    assert is_coin_margined([], fields("50,3500.5,3,0.00857,1717113600031,true"))  # a contract of 10 USD
    for row in ROWS.values():
        assert not is_coin_margined([], fields(row))
