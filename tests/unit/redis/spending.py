"""Spending a budget until nothing is left at once."""

from marketstream.redis.budget import Budget, BudgetSpentError


async def spend(budget: Budget, weight: int) -> int:
    """Acquire weight until none is left at once, and return the sum."""
    spent = 0
    while spent < 10_000:
        try:
            await budget.acquire(weight)
        except BudgetSpentError:
            return spent
        spent += weight
    raise AssertionError("the budget does not end")
