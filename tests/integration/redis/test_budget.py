"""Request weight that two processes share through a real Redis."""

import time
from collections.abc import AsyncIterator

import pytest
from marketstream.redis import budget as budget_module
from marketstream.redis.budget import Budget, BudgetSpentError
from marketstream.redis.client import connect
from marketstream.settings import Settings

from tests.unit.redis.spending import spend


@pytest.fixture
async def budgets(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Budget, Budget]]:
    """Return the budgets of two processes that do not wait: 400 a minute, and 100 of them at once."""
    monkeypatch.setattr(budget_module, "ANSWER_S", 30.0)  # a short delay is no outage
    both = [Budget(connect(Settings(redis_url=redis_url)), limit=500, most_wait_s=0) for _ in range(2)]
    yield both[0], both[1]
    for budget in both:
        await budget.close()


async def test_two_processes_spend_one_budget(budgets: tuple[Budget, Budget]) -> None:
    one, other = budgets
    begun = time.monotonic()
    await one.acquire(60)
    spent = await spend(other, 10)
    assert 40 <= spent <= 40 + 5 * (time.monotonic() - begun)  # the bucket refills at 5 a second
    with pytest.raises(BudgetSpentError, match="the budget is spent") as refused:
        await one.acquire(60)
    assert 5 < refused.value.retry_after_s <= 12


async def test_a_waiting_process_gets_the_refill(redis_url: str) -> None:
    hasty = Budget(connect(Settings(redis_url=redis_url)), most_wait_s=0)
    await spend(hasty, 100)
    await hasty.close()
    budget = Budget(connect(Settings(redis_url=redis_url)))
    begun = time.monotonic()
    await budget.acquire(60)
    assert 0 < time.monotonic() - begun < 5
    await budget.close()


async def test_a_stop_ordered_to_one_process_stops_every_one(budgets: tuple[Budget, Budget]) -> None:
    one, other = budgets
    await one.stop(120)
    await one.stop(1)
    for budget in (one, other):
        with pytest.raises(BudgetSpentError, match="ordered a stop") as stopped:
            await budget.acquire(1)
        assert 115 < stopped.value.retry_after_s <= 120


async def test_without_redis_each_process_takes_a_tenth() -> None:
    budget = Budget(connect(Settings(redis_url="redis://127.0.0.1:1/0")), limit=5_000, most_wait_s=0)
    begun = time.monotonic()
    assert 100 <= await spend(budget, 5) <= 125  # a tenth of the 1,000 at once; then 5 a second
    assert time.monotonic() - begun < 3  # not every call waits for Redis
    await budget.close()


async def test_the_parts_of_two_processes_are_one_and_leave_the_rest_to_others(budgets: tuple[Budget, Budget]) -> None:
    parts = [budget.part("questions", 0.5) for budget in budgets]
    begun = time.monotonic()
    spent = [await spend(part, 5) for part in parts]
    assert 50 <= sum(spent) <= 50 + 2.5 * (time.monotonic() - begun) + 5
    assert await spend(budgets[0], 5) >= 45


async def test_sixteen_processes_share_the_attempts_to_connect(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_module, "ANSWER_S", 30.0)
    wholes = [Budget(connect(Settings(redis_url=redis_url)), most_wait_s=0) for _ in range(16)]
    begun, attempts = time.monotonic(), 0
    for whole in wholes:
        budget = whole.beside("connections", limit=300, period_s=300, most_wait_s=0)
        attempts += await spend(budget, 1)
    # A quarter of the share at once, and what flows in meanwhile: at that rate 240 in five minutes.
    assert 60 <= attempts <= 61 + 0.6 * (time.monotonic() - begun)
    for whole in wholes:
        await whole.close()
