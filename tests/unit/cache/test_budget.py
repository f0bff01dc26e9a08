import pytest
from marketstream.cache.budget import Budget, BudgetSpentError

from tests.unit.clocks import VirtualTime


def alone(time: VirtualTime, most_wait_s: float = 60.0) -> Budget:
    return Budget(now_s=lambda: time.us / 1_000_000, sleep=time.sleep, most_wait_s=most_wait_s)


async def test_without_redis_a_process_takes_a_tenth_and_no_more() -> None:
    time = VirtualTime()
    budget, begun_us, spent = alone(time), time.us, 0
    while time.us - begun_us < 60_000_000:
        await budget.acquire(25)
        spent += 25
    # 80 % of 6,000, of that a tenth: at once what a full bucket holds, and then what flows in.
    assert 400 < spent <= 480 + 25


async def test_what_cannot_be_had_in_time_is_an_error_that_says_when() -> None:
    time = VirtualTime()
    budget = alone(time, most_wait_s=1.0)
    for _ in range(4):
        await budget.acquire(25)
    with pytest.raises(BudgetSpentError, match="no request weight is left") as spent:
        await budget.acquire(100)
    assert 1 < spent.value.retry_after_s < 60


async def test_a_stop_holds_for_its_time_and_is_not_shortened() -> None:
    time = VirtualTime()
    budget = alone(time)
    await budget.stop(30)
    await budget.stop(5)
    begun_us = time.us
    await budget.acquire(1)
    assert 30 <= (time.us - begun_us) / 1_000_000 <= 40
    await budget.stop(7200)
    with pytest.raises(BudgetSpentError, match="told us to stop") as stopped:
        await budget.acquire(1)
    assert stopped.value.retry_after_s == pytest.approx(7200)
