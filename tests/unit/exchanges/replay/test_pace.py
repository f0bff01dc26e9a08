import math

import pytest
from marketstream.exchanges.replay.pace import Pace, parse_speed
from marketstream.settings import SettingsError

from tests.unit.clocks import VirtualTime

FIRST_US = 1_610_064_000_000_000


@pytest.mark.parametrize(("text", "speed"), [("max", math.inf), ("2.5", 2.5), ("1e3", 1000.0)])
def test_a_speed_is_a_number_or_max(text: str, speed: float) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["0", "-1", "fast", "nan", "inf", ""])
def test_any_other_speed_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="a number above 0, or max"):
        parse_speed(text)


def test_the_time_of_the_file_runs_from_its_first_trade_at_the_speed_of_the_replay() -> None:
    time = VirtualTime()
    pace = Pace(10.0, time.now)
    assert pace.time_us(FIRST_US) == FIRST_US
    time.us += 2_000_000
    assert pace.time_us(FIRST_US + 5) == FIRST_US + 20_000_000  # only the first call sets the start
    assert pace.seconds(20_000_000) == 2.0


def test_at_the_maximum_speed_every_trade_is_due() -> None:
    pace = Pace(math.inf, VirtualTime().now)
    assert pace.time_us(FIRST_US) == math.inf
