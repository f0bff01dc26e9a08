"""Times that contradict their neighbours."""

import pytest
from marketstream.exchanges.replay.dump_parser import Part
from marketstream.exchanges.replay.strays import without_strays
from marketstream.market.trade import Trades

START_US = 1_610_064_000_000_000
YEAR_US = 365 * 86_400_000_000


def kept(*times: list[int]) -> tuple[list[int], list[int]]:
    """Return the times that are yielded, of parts with the given seconds, and the numbers of refused lines."""
    refused: list[int] = []
    parts = []
    line = 1
    for some in times:
        size = len(some)
        trades = Trades(0, 0, line, [START_US + int(s * 1e6) for s in some], [1] * size, [1] * size, bytes(size))
        parts.append(Part(trades, range(line, line + size), [str(s) for s in some]))
        line += size
    found = without_strays(parts, lambda _, number, __: refused.append(number))
    return [(time - START_US) // 1_000_000 for trades in found for time in trades.times], refused


@pytest.mark.parametrize("far", [YEAR_US // 1_000_000, -YEAR_US // 1_000_000, 7200])
@pytest.mark.parametrize("place", range(6))
def test_a_single_stray_is_refused_wherever_it_is(far: int, place: int) -> None:
    if far < 0 and place == 0:
        return  # the market may have paused for as long
    times = [[0, 1], [2, 3], [4, 5, 6, 7]]
    times[place // 2][place % 2] = place + far
    assert kept(*times) == ([n for n in range(8) if n != place], [place + 1])


def test_strays_in_a_row_are_refused() -> None:
    assert kept([0, 1, 2], [99999, 99999, 99999], [3, 4, 5, 6])[1] == [4, 5, 6]


def test_times_that_are_a_little_out_of_order_are_kept() -> None:
    assert kept([0, 5, 1], [4, 60, 3]) == ([0, 5, 1, 4, 60, 3], [])


def test_a_market_that_pauses_for_days_has_no_strays() -> None:
    assert kept([0], [100_000, 300_000], [900_000]) == ([0, 100_000, 300_000, 900_000], [])
