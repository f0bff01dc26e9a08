from itertools import islice
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from marketstream.backoff import delays


@given(st.integers(), st.floats(0.01, 1), st.floats(1, 60))
def test_delays_double_up_to_the_most_and_are_shortened_by_up_to_a_half(seed: int, first: float, most: float) -> None:
    for attempt, delay in enumerate(islice(delays(first, most, Random(seed)), 20)):
        limit = min(most, first * 2**attempt)
        assert limit / 2 <= delay <= limit


def test_clients_that_failed_together_do_not_come_back_together() -> None:
    assert len({next(delays(1.0, 30.0, Random(seed))) for seed in range(100)}) == 100
