"""How much of a budget can be had at once."""

from marketstream.redis.budget import Budget, BudgetSpentError


async def spend(budget: Budget, weight: int) -> int:
    """Takes weight until there is none at once; how much it was."""
    spent = 0
    while spent < 10_000:
        try:
            await budget.acquire(weight)
        except BudgetSpentError:
            return spent
        spent += weight
    raise AssertionError("a budget without end")
