"""What is made of the times that a processor writes into Redis."""

import pytest
from marketstream.cache.reader import Stream
from marketstream_operator.freshness import POLL_S, Pulse

MAX_AGE_S = 60.0
START = 1_000_000.0


def heard(at: float, last_id: int | None = None, *, traded: float | None = None, **more: int) -> Stream:
    return Stream(heard_until=at, last_trade_time=at if traded is None else traded, last_trade_id=last_id, **more)


def verdicts(pulse: Pulse, *reads: Stream | None, begin: float = START) -> list[bool | None]:
    """What it says after each read, five seconds apart."""
    found = []
    for number, stream in enumerate(reads):
        pulse.read(stream, begin + number * POLL_S, MAX_AGE_S)
        found.append(pulse.reading.is_fresh)
    return found


def test_fresh_after_two_reads_that_say_so() -> None:
    assert verdicts(Pulse(START, starting=True), heard(START), heard(START + 5)) == [None, True]


def test_stale_after_two_reads_that_say_so_and_back() -> None:
    pulse = Pulse(START, starting=True)
    verdicts(pulse, heard(START), heard(START))
    old = heard(START)
    assert verdicts(pulse, old, old, begin=START + 61) == [True, False]
    assert verdicts(pulse, heard(START + 70), heard(START + 75), begin=START + 71) == [False, True]


def test_one_odd_read_turns_nothing() -> None:
    pulse = Pulse(START, starting=True)
    verdicts(pulse, heard(START), heard(START))
    now = START + 100
    assert verdicts(pulse, heard(START), heard(now), heard(START), heard(now), begin=now) == [True] * 4


def test_a_symbol_that_is_never_heard_of_is_stale_in_the_end() -> None:
    pulse = Pulse(START, starting=True)
    assert verdicts(pulse, None, None) == [None, None]
    assert verdicts(pulse, None, None, begin=START + 61) == [None, False]


def test_what_was_heard_before_a_pause_says_nothing_of_a_feed_that_begins_anew() -> None:
    before = heard(START - 500)
    assert verdicts(Pulse(START, starting=True), before, before, before) == [None, None, None]
    pulse = Pulse(START, starting=True)
    assert verdicts(pulse, before, heard(START + 4), heard(START + 9)) == [None, None, True]


def test_an_operator_that_starts_judges_what_runs_at_once() -> None:
    before = heard(START - 500)
    assert verdicts(Pulse(START, starting=False), before, before) == [None, False]


def test_quiet_is_a_feed_that_lives_without_trades() -> None:
    pulse = Pulse(START, starting=True)
    pulse.read(heard(START, traded=START - 61), START, MAX_AGE_S)
    assert pulse.reading.is_quiet
    pulse.read(heard(START, traded=START - 59), START, MAX_AGE_S)
    assert not pulse.reading.is_quiet


def test_ids_are_consecutive_so_their_difference_is_the_rate() -> None:
    pulse = Pulse(START, starting=True)
    for second in range(0, 121, 5):
        rate = 10 if second <= 60 else 40
        pulse.read(heard(START, 1_000 + rate * second), START + second, MAX_AGE_S)
        if second == 60:
            assert pulse.reading.trades_per_second == pytest.approx(10)
    verdicts(pulse, heard(START, 5))  # another exchange, or a simulator that begins anew
    assert pulse.reading.trades_per_second is None


@pytest.mark.parametrize(
    ("complete_until", "holes", "is_complete"),
    [(START, 0, True), (START - 30, 0, True), (START - 50, 0, False), (START, 1, False), (None, 0, False)],
)
def test_complete_without_holes_and_proven_up_to_now(
    complete_until: float | None, holes: int, is_complete: bool
) -> None:
    pulse = Pulse(START, starting=True)
    proven = None if complete_until is None else int(complete_until)
    pulse.read(Stream(heard_until=START, complete_until=proven, open_holes=holes), START, MAX_AGE_S)
    assert pulse.reading.is_complete is is_complete
