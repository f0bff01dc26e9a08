import pytest
from marketstream.exchanges.binance.exchange import ATTEMPTS_ALONE
from marketstream.redis.budget import Budget, BudgetSpentError

from tests.unit.clocks import VirtualTime
from tests.unit.redis.spending import spend


def alone(clock: VirtualTime, most_wait_s: float = 60.0) -> Budget:
    return Budget(now_s=lambda: clock.us / 1_000_000, sleep=clock.sleep, most_wait_s=most_wait_s)


async def test_without_redis_a_process_uses_a_tenth_and_no_more() -> None:
    clock = VirtualTime()
    budget, begun_us, spent = alone(clock), clock.us, 0
    while clock.us - begun_us < 60_000_000:
        await budget.acquire(25)
        spent += 25
    # 80 % of 6,000, of that a tenth: at once what a full bucket holds, and then what flows in.
    assert 400 < spent <= 480 + 25


async def test_weight_not_available_in_time_is_an_error_with_the_delay() -> None:
    clock = VirtualTime()
    budget = alone(clock, most_wait_s=1.0)
    for _ in range(4):
        await budget.acquire(25)
    with pytest.raises(BudgetSpentError, match="the budget is spent") as spent:
        await budget.acquire(100)
    assert 1 < spent.value.retry_after_s < 60


async def test_a_stop_holds_for_its_time_and_is_not_shortened() -> None:
    clock = VirtualTime()
    budget = alone(clock)
    await budget.stop(30)
    await budget.stop(5)
    begun_us = clock.us
    await budget.acquire(1)
    assert 30 <= (clock.us - begun_us) / 1_000_000 <= 40
    await budget.stop(7200)
    with pytest.raises(BudgetSpentError, match="ordered a stop") as stopped:
        await budget.acquire(1)
    assert stopped.value.retry_after_s == pytest.approx(7200)


async def test_a_part_leaves_the_rest_to_others() -> None:
    budget = alone(VirtualTime(), most_wait_s=0)
    part = budget.part("questions", 0.25)
    assert await spend(part, 3) == 30  # of the 120 that a process has at once
    assert await spend(budget, 3) == 90
    assert await spend(part, 3) == 0


async def test_a_part_gets_its_share_while_others_take_everything() -> None:
    clock = VirtualTime()
    budget = alone(clock, most_wait_s=0)
    part = budget.part("questions", 0.25)
    await spend(budget, 1)
    await spend(part, 3)
    spent = 0
    for _ in range(60):
        await clock.sleep(1.0)  # in which 6 flow in
        spent += await spend(part, 3)
        await spend(budget, 1)
    assert 60 <= spent <= 0.25 * 360 + 30


async def test_a_stop_of_a_part_or_of_the_whole_holds_for_both() -> None:
    budget = alone(VirtualTime(), most_wait_s=1.0)
    part = budget.part("questions", 0.5)
    await part.stop(3600)
    for one in (budget, part, budget.part("others", 0.5)):
        with pytest.raises(BudgetSpentError, match="ordered a stop"):
            await one.acquire(1)


@pytest.mark.parametrize("processes", [1, 16, 20])
async def test_attempts_of_many_processes_without_redis_stay_within_the_limit(processes: int) -> None:
    """Binance allows 300 attempts in 5 minutes from one IP address. Each process tries as often as it may."""
    attempts = 0
    for _ in range(processes):
        clock = VirtualTime()
        budget = alone(clock).beside("connections", limit=300, period_s=300, alone=ATTEMPTS_ALONE)
        begun_us = clock.us
        while clock.us - begun_us < 300_000_000:
            try:
                await budget.acquire(1)
            except BudgetSpentError as error:
                await clock.sleep(error.retry_after_s)
            else:
                attempts += 1
    assert processes * 5 <= attempts <= 300


async def test_two_budgets_do_not_affect_each_other() -> None:
    weight = alone(VirtualTime(), most_wait_s=0)
    connections = weight.beside("connections", limit=300, period_s=300)
    assert await spend(weight, 5) == 120
    await connections.acquire(1)


async def test_a_spent_budget_beside_another_is_reported_soon() -> None:
    clock = VirtualTime()
    connections = alone(clock).beside("connections", limit=300, period_s=300, alone=ATTEMPTS_ALONE)
    begun_us = clock.us
    with pytest.raises(BudgetSpentError, match="the budget is spent: retry in") as spent:
        await spend_at_once(connections)
    assert (clock.us - begun_us) / 1_000_000 <= 10
    assert spent.value.retry_after_s < 60


async def spend_at_once(budget: Budget) -> None:
    for _ in range(100):
        await budget.acquire(1)
